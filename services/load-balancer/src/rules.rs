//! The policy rules: Octavia's names (octavia/policies). Defaults as Octavia has them for Keystone's default roles; its own
//! roles `load-balancer_observer`, `load-balancer_member`, `load-balancer_global_observer`, `load-balancer_quota_admin` and
//! `load-balancer_admin` are good for what Octavia gives them besides.

const READ: &str = "rule:load-balancer:read";
const READ_GLOBAL: &str = "rule:load-balancer:read-global";
const WRITE: &str = "rule:load-balancer:write";
const ADMIN: &str = "rule:load-balancer:admin";
const READ_QUOTA: &str = "rule:load-balancer:read-quota";
const READ_QUOTA_GLOBAL: &str = "rule:load-balancer:read-quota-global";
const WRITE_QUOTA: &str = "rule:load-balancer:write-quota";

nephos_auth::rules! {
    /// The operator.
    pub(crate) ContextIsAdmin = "context_is_admin", "role:admin or role:load-balancer_admin";
    /// Whose it is.
    pub(crate) Owner = "load-balancer:owner", "project_id:%(project_id)s";
    /// The operator of load balancers.
    pub(crate) Admin = "load-balancer:admin", "role:admin or role:load-balancer_admin";
    /// Who reads in a project.
    pub(crate) ObserverAndOwner = "load-balancer:observer_and_owner", "(role:reader or role:load-balancer_observer) and rule:load-balancer:owner";
    /// Who reads everywhere.
    pub(crate) GlobalObserver = "load-balancer:global_observer", "role:load-balancer_global_observer";
    /// Who works in a project.
    pub(crate) MemberAndOwner = "load-balancer:member_and_owner", "(role:member or role:load-balancer_member) and rule:load-balancer:owner";
    /// Read.
    pub(crate) Read = "load-balancer:read", "rule:load-balancer:observer_and_owner or rule:load-balancer:global_observer or rule:load-balancer:member_and_owner or rule:load-balancer:admin";
    /// Read what is of all projects.
    pub(crate) ReadGlobal = "load-balancer:read-global", "rule:load-balancer:global_observer or rule:load-balancer:admin";
    /// Make, change, delete.
    pub(crate) Write = "load-balancer:write", "rule:load-balancer:member_and_owner or rule:load-balancer:admin";
    /// Read limits.
    pub(crate) ReadQuota = "load-balancer:read-quota", "rule:load-balancer:observer_and_owner or rule:load-balancer:global_observer or rule:load-balancer:member_and_owner or role:load-balancer_quota_admin or rule:load-balancer:admin";
    /// Read the limits of all projects.
    pub(crate) ReadQuotaGlobal = "load-balancer:read-quota-global", "rule:load-balancer:global_observer or role:load-balancer_quota_admin or rule:load-balancer:admin";
    /// Set limits.
    pub(crate) WriteQuota = "load-balancer:write-quota", "role:load-balancer_quota_admin or rule:load-balancer:admin";

    /// List load balancers.
    pub(crate) ListBalancers = "os_load-balancer_api:loadbalancer:get_all", READ;
    /// List the load balancers of all projects.
    pub(crate) ListAllBalancers = "os_load-balancer_api:loadbalancer:get_all-global", READ_GLOBAL;
    /// Create a load balancer.
    pub(crate) CreateBalancer = "os_load-balancer_api:loadbalancer:post", WRITE;
    /// Show a load balancer.
    pub(crate) GetBalancer = "os_load-balancer_api:loadbalancer:get_one", READ;
    /// Change a load balancer.
    pub(crate) UpdateBalancer = "os_load-balancer_api:loadbalancer:put", WRITE;
    /// Delete a load balancer.
    pub(crate) DeleteBalancer = "os_load-balancer_api:loadbalancer:delete", WRITE;
    /// Show what went through a load balancer.
    pub(crate) GetStats = "os_load-balancer_api:loadbalancer:get_stats", READ;
    /// Show how a load balancer and all its parts are.
    pub(crate) GetStatus = "os_load-balancer_api:loadbalancer:get_status", READ;
    /// Move a load balancer to another host.
    pub(crate) Failover = "os_load-balancer_api:loadbalancer:put_failover", ADMIN;

    /// List listeners.
    pub(crate) ListListeners = "os_load-balancer_api:listener:get_all", READ;
    /// List the listeners of all projects.
    pub(crate) ListAllListeners = "os_load-balancer_api:listener:get_all-global", READ_GLOBAL;
    /// Create a listener.
    pub(crate) CreateListener = "os_load-balancer_api:listener:post", WRITE;
    /// Show a listener.
    pub(crate) GetListener = "os_load-balancer_api:listener:get_one", READ;
    /// Change a listener.
    pub(crate) UpdateListener = "os_load-balancer_api:listener:put", WRITE;
    /// Delete a listener.
    pub(crate) DeleteListener = "os_load-balancer_api:listener:delete", WRITE;
    /// Show what went through a listener.
    pub(crate) GetListenerStats = "os_load-balancer_api:listener:get_stats", READ;

    /// List pools.
    pub(crate) ListPools = "os_load-balancer_api:pool:get_all", READ;
    /// List the pools of all projects.
    pub(crate) ListAllPools = "os_load-balancer_api:pool:get_all-global", READ_GLOBAL;
    /// Create a pool.
    pub(crate) CreatePool = "os_load-balancer_api:pool:post", WRITE;
    /// Show a pool.
    pub(crate) GetPool = "os_load-balancer_api:pool:get_one", READ;
    /// Change a pool.
    pub(crate) UpdatePool = "os_load-balancer_api:pool:put", WRITE;
    /// Delete a pool.
    pub(crate) DeletePool = "os_load-balancer_api:pool:delete", WRITE;

    /// List the members of a pool.
    pub(crate) ListMembers = "os_load-balancer_api:member:get_all", READ;
    /// Create a member.
    pub(crate) CreateMember = "os_load-balancer_api:member:post", WRITE;
    /// Show a member.
    pub(crate) GetMember = "os_load-balancer_api:member:get_one", READ;
    /// Change a member.
    pub(crate) UpdateMember = "os_load-balancer_api:member:put", WRITE;
    /// Delete a member.
    pub(crate) DeleteMember = "os_load-balancer_api:member:delete", WRITE;

    /// List health monitors.
    pub(crate) ListMonitors = "os_load-balancer_api:healthmonitor:get_all", READ;
    /// List the health monitors of all projects.
    pub(crate) ListAllMonitors = "os_load-balancer_api:healthmonitor:get_all-global", READ_GLOBAL;
    /// Create a health monitor.
    pub(crate) CreateMonitor = "os_load-balancer_api:healthmonitor:post", WRITE;
    /// Show a health monitor.
    pub(crate) GetMonitor = "os_load-balancer_api:healthmonitor:get_one", READ;
    /// Change a health monitor.
    pub(crate) UpdateMonitor = "os_load-balancer_api:healthmonitor:put", WRITE;
    /// Delete a health monitor.
    pub(crate) DeleteMonitor = "os_load-balancer_api:healthmonitor:delete", WRITE;

    /// List L7 policies.
    pub(crate) ListPolicies = "os_load-balancer_api:l7policy:get_all", READ;
    /// List the L7 policies of all projects.
    pub(crate) ListAllPolicies = "os_load-balancer_api:l7policy:get_all-global", READ_GLOBAL;
    /// Create an L7 policy.
    pub(crate) CreatePolicy = "os_load-balancer_api:l7policy:post", WRITE;
    /// Show an L7 policy.
    pub(crate) GetPolicy = "os_load-balancer_api:l7policy:get_one", READ;
    /// Change an L7 policy.
    pub(crate) UpdatePolicy = "os_load-balancer_api:l7policy:put", WRITE;
    /// Delete an L7 policy.
    pub(crate) DeletePolicy = "os_load-balancer_api:l7policy:delete", WRITE;

    /// List the rules of an L7 policy.
    pub(crate) ListRules = "os_load-balancer_api:l7rule:get_all", READ;
    /// Create an L7 rule.
    pub(crate) CreateRule = "os_load-balancer_api:l7rule:post", WRITE;
    /// Show an L7 rule.
    pub(crate) GetRule = "os_load-balancer_api:l7rule:get_one", READ;
    /// Change an L7 rule.
    pub(crate) UpdateRule = "os_load-balancer_api:l7rule:put", WRITE;
    /// Delete an L7 rule.
    pub(crate) DeleteRule = "os_load-balancer_api:l7rule:delete", WRITE;

    /// List limits.
    pub(crate) ListQuotas = "os_load-balancer_api:quota:get_all", READ_QUOTA;
    /// List the limits of all projects.
    pub(crate) ListAllQuotas = "os_load-balancer_api:quota:get_all-global", READ_QUOTA_GLOBAL;
    /// Show the limits of a project.
    pub(crate) GetQuota = "os_load-balancer_api:quota:get_one", READ_QUOTA;
    /// Set the limits of a project.
    pub(crate) UpdateQuota = "os_load-balancer_api:quota:put", WRITE_QUOTA;
    /// Bring the limits of a project back to the defaults.
    pub(crate) DeleteQuota = "os_load-balancer_api:quota:delete", WRITE_QUOTA;
    /// Show the default limits.
    pub(crate) GetDefaultQuota = "os_load-balancer_api:quota:get_defaults", READ_QUOTA;
    /// List providers.
    pub(crate) ListProviders = "os_load-balancer_api:provider:get_all", READ;

    /// Say which hosts are to be without load balancers, and see how many they have.
    pub(crate) Hosts = "os_load-balancer_api:hosts", "rule:load-balancer:admin or role:service";
    /// Be an agent of this service on a host.
    pub(crate) HostFeed = "os_load-balancer_api:host-feed", "role:host";
}
