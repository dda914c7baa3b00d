#!/bin/sh
# Schoolgate behind OpenWrt: put in the address of your resolver and run this on
# the router, once. README.md says why each line is here.
set -eu

RESOLVER=10.0.0.2

# Ask Schoolgate, and nobody else; remember nothing.
uci -q delete dhcp.@dnsmasq[0].server || true
uci add_list dhcp.@dnsmasq[0].server="$RESOLVER"
uci set dhcp.@dnsmasq[0].noresolv=1
uci set dhcp.@dnsmasq[0].cachesize=0
# Schoolgate guards against rebinding itself, and its answers for the school's
# own names and the block page are private addresses.
uci set dhcp.@dnsmasq[0].rebind_protection=0
uci commit dhcp

# Tell it who asks, and take away what a client says of itself. In this file
# because every release of OpenWrt reads it; the names in /etc/config/dhcp came
# later.
for line in add-mac strip-mac add-subnet=32,128 strip-subnet dns-forward-max=1000; do
	grep -qxF "$line" /etc/dnsmasq.conf || echo "$line" >>/etc/dnsmasq.conf
done

/etc/init.d/dnsmasq restart
