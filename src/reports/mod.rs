//! What leaves the appliance on paper: digests, governors' numbers, evidence.
