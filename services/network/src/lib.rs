//! Neutron v2.0: networks, subnets, ports, routers, floating IPs, security groups.

pub mod agent;
mod driver;
pub mod model;
