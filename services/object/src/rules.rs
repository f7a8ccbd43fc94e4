//! Who may do what with an account. Swift has roles in its configuration where other services have rules; these say
//! the same as rules, with the roles of the default configuration. A service has the account of its own project: backups of
//! volumes are there. Containers' own lists come on top.

nephos_auth::rules! {
    /// Do everything in every account, and set its quotas.
    pub(crate) Reseller = "swift:reseller", "role:ResellerAdmin";
    /// Do everything in the project's own account.
    pub(crate) Operator = "swift:operator", "(role:admin or role:member or role:service) and project_id:%(project_id)s";
    /// Read everything in the project's own account.
    pub(crate) ProjectReader = "swift:project_reader", "role:reader and project_id:%(project_id)s";
}
