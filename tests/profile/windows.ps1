# Encrypted DNS for ipad-01. Windows 11, Server 2022 and newer; run as administrator,
# or as a start-up script by Group Policy.
$addresses = '203.0.113.2', '2001:db8::2'
$template = 'https://dns.school.example/dns-query/k3v9x2qm7w4tz5b6n2ch'
foreach ($address in $addresses) {
    Remove-DnsClientDohServerAddress -ServerAddress $address -ErrorAction SilentlyContinue
    Add-DnsClientDohServerAddress -ServerAddress $address -DohTemplate $template `
        -AllowFallbackToUdp $false -AutoUpgrade $true
}
Get-NetAdapter -Physical | Set-DnsClientServerAddress -ServerAddresses $addresses

# The same as Group Policy: Computer Configuration, Administrative Templates,
# Network, DNS Client, "Configure encrypted name resolution" (earlier: "Configure
# DNS over HTTPS (DoH) name resolution"): Require. 2 allows, 1 prohibits it: for
# devices that stay in school and are known there without it.
$policy = 'HKLM:\SOFTWARE\Policies\Microsoft\Windows NT\DNSClient'
if (-not (Test-Path $policy)) { New-Item -Path $policy -Force | Out-Null }
Set-ItemProperty -Path $policy -Name DoHPolicy -Type DWord -Value 3
Clear-DnsClientCache
