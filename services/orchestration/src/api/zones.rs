//! The availability zones that templates may ask for. Functions are worked out where nobody can be asked, so the zones
//! are noted with what is wanted of a stack: they are those of the moment at which it was asked for.

use nephos_api::Fault;
use serde_json::Value;

use crate::Cx;
use crate::model::environment::Environment;
use crate::model::stack::Wanted;
use crate::peers::Ask;

/// Notes the availability zones that there are, if the templates that were sent ask for them.
pub(crate) async fn note_zones(
    cx: &Cx,
    environment: &mut Environment,
    wanted: &mut Wanted,
) -> Result<(), Fault> {
    const NAME: &str = "Fn::GetAZs";
    environment.zones = None;
    let mut sent = std::iter::once(&wanted.template).chain(wanted.files.values());
    if sent.any(|one| one.to_string().contains(NAME)) {
        let ask = Ask::get("compute", "/v2.1/os-availability-zone");
        let token = cx.token().unwrap_or_default();
        let list = cx.siblings.ask_as(token, &ask).await.map_err(|why| {
            let message = format!("{NAME}: the compute service does not tell its zones: {why}");
            if why.is_transient() {
                Fault::unavailable(message)
            } else {
                Fault::bad_request(message).kind("StackValidationFailed")
            }
        })?;
        let zones = list.get("availabilityZoneInfo").and_then(Value::as_array);
        let names = zones.into_iter().flatten();
        let names = names.filter_map(|zone| zone.get("zoneName")?.as_str());
        environment.zones = Some(names.map(str::to_owned).collect());
    }
    wanted.environment = environment.kept();
    Ok(())
}
