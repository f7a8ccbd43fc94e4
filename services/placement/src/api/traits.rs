//! Traits.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use http::{StatusCode, header};
use nephos_api::{Empty, Fault, Json, Params, Reply, Req, With, endpoint};
use serde::Serialize;
use utoipa::ToSchema;

use super::form::{Bodiless, Reads, any_of, check_query, last};
use super::schema::{Schema, Text};
use super::{TraitPath, all_providers, dated, write};
use crate::model::providers::Providers;
use crate::model::{TraitName, names};
use crate::{Cx, rules, store};

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TraitsView {
    traits: Vec<TraitName>,
}

endpoint! {
    /// List traits.
    ListTraits: GET "/traits" => 200,
    versions: 1.6..,
    policy: rules::ListTraits,
    query: Params,
    body: Reads,
    reply: With<Json<TraitsView>>,
    handler: list_traits,
}

async fn list_traits(cx: Cx, req: Req<ListTraits>) -> Reply<ListTraits> {
    static QUERY: LazyLock<Schema> = LazyLock::new(|| {
        let text = || Schema::Text(Text::default());
        any_of(vec![("name", text()), ("associated", text())])
    });
    check_query(&req.query, &QUERY)?;
    let filter = NameFilter::parse(last(&req.query, "name"))?;
    let associated = match last(&req.query, "associated") {
        None => None,
        Some(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Some(false),
        Some(_) => {
            return Err(Fault::bad_request(
                "The query parameter \"associated\" only accepts \"true\" or \"false\"",
            ));
        }
    };
    let providers = all_providers(&cx).await?;
    let mut traits: Vec<TraitName> = names::standard_traits().map(TraitName::from).collect();
    let custom = providers.names.traits.iter();
    traits.extend(custom.map(|custom| TraitName(custom.name.clone())));
    traits.retain(|name| filter.takes(name.as_str()));
    if let Some(wanted) = associated {
        let used = used_traits(&providers);
        traits.retain(|name| used.contains(name) == wanted);
    }
    Ok(dated(&cx, Json(TraitsView { traits }), cx.now()))
}

fn used_traits(providers: &Providers) -> BTreeSet<&TraitName> {
    let all = providers.all().iter();
    all.flat_map(|stocked| &stocked.traits).collect()
}

enum NameFilter<'a> {
    All,
    OneOf(Vec<&'a str>),
    Prefix(&'a str),
}

impl<'a> NameFilter<'a> {
    fn parse(text: Option<&'a str>) -> Result<Self, Fault> {
        let Some(text) = text else {
            return Ok(Self::All);
        };
        match text.split_once(':') {
            Some(("in", list)) => Ok(Self::OneOf(list.split(',').collect())),
            Some(("startswith", prefix)) => Ok(Self::Prefix(prefix)),
            // Upstream ignores other operators.
            Some(_) => Ok(Self::All),
            None => Err(Fault::bad_request(format!(
                "Badly formatted name parameter. Expected name query string parameter in form: \
                 ?name=[in|startswith]:[name1,name2|prefix]. Got: \"{text}\""
            ))),
        }
    }

    fn takes(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::OneOf(list) => list.contains(&name),
            Self::Prefix(prefix) => name.starts_with(prefix),
        }
    }
}

endpoint! {
    /// Ask whether there is a trait.
    ShowTrait: GET "/traits/{name}" => 204,
    versions: 1.6..,
    policy: rules::ShowTrait,
    path: TraitPath,
    body: Bodiless,
    reply: With<Empty>,
    handler: show_trait,
}

async fn show_trait(cx: Cx, req: Req<ShowTrait>) -> Reply<ShowTrait> {
    let name = &req.path.name;
    let providers = all_providers(&cx).await?;
    if !providers.has_trait(name) {
        return Err(no_trait(name));
    }
    let mut custom = providers.names.traits.iter();
    let custom = custom.find(|custom| custom.name == name.as_str());
    let at = custom.map_or_else(|| cx.now(), |custom| custom.created_at);
    Ok(dated(&cx, Empty, at))
}

endpoint! {
    /// Create a custom trait, unless it is there.
    CreateTrait: PUT "/traits/{name}" => 201,
    versions: 1.6..,
    policy: rules::UpdateTrait,
    path: TraitPath,
    body: Bodiless,
    reply: With<Empty>,
    handler: create_trait,
}

async fn create_trait(cx: Cx, req: Req<CreateTrait>) -> Reply<CreateTrait> {
    let name = &req.path.name;
    if !names::is_custom(name.as_str()) {
        return Err(Fault::bad_request(
            "The trait is invalid. A valid trait must be no longer than 255 characters, start with the prefix \
             \"CUSTOM_\" and use following characters: \"A\"-\"Z\", \"0\"-\"9\" and \"_\"",
        ));
    }
    let providers = all_providers(&cx).await?;
    let mut custom = providers.names.traits.iter();
    let custom = custom.find(|custom| custom.name == name.as_str());
    let (made, at) = match custom {
        Some(custom) => (false, custom.created_at),
        None => {
            let mut w = write(&cx).await?;
            let made = store::names::insert_trait(&mut w, name).await?;
            let at = w.now;
            w.commit().await?;
            (made, at)
        }
    };
    let status = if made {
        StatusCode::CREATED
    } else {
        StatusCode::NO_CONTENT
    };
    let location = cx.url(&format!("/traits/{name}"));
    let reply = dated(&cx, Empty, at).status(status);
    Ok(reply.header(header::LOCATION, &location))
}

endpoint! {
    /// Delete a custom trait.
    DeleteTrait: DELETE "/traits/{name}" => 204,
    versions: 1.6..,
    policy: rules::DeleteTrait,
    path: TraitPath,
    body: Bodiless,
    reply: Empty,
    handler: delete_trait,
}

async fn delete_trait(cx: Cx, req: Req<DeleteTrait>) -> Reply<DeleteTrait> {
    let name = &req.path.name;
    let mut w = write(&cx).await?;
    if !store::names::has_trait(&mut w, name).await? {
        return Err(no_trait(name));
    }
    if names::is_standard_trait(name.as_str()) {
        return Err(Fault::bad_request(format!(
            "Cannot delete standard trait {name}."
        )));
    }
    if store::names::trait_users(&mut w, name).await? > 0 {
        return Err(Fault::conflict(format!(
            "The trait {name} is in use by a resource provider."
        )));
    }
    store::names::remove_trait(&mut w, name).await?;
    w.commit().await?;
    Ok(Empty)
}

fn no_trait(name: &TraitName) -> Fault {
    Fault::not_found(format!("No such trait(s): {name}."))
}
