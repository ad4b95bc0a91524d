use kafka_protocol::messages::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult,
    DescribeConfigsSynonym,
};
use leveret_wire::kafka::{self, ApiKey, ConfigSource, ConfigType, Request, ResourceType};

use super::{maybe_text, of_lines, str_bytes, text};
use crate::harness::Api;
use crate::source::{Source, error_code};

pub(crate) struct DescribeConfigs;

pub(super) fn source(number: i8) -> ConfigSource {
    let all = [
        ConfigSource::Topic,
        ConfigSource::DynamicBroker,
        ConfigSource::DynamicDefaultBroker,
        ConfigSource::StaticBroker,
        ConfigSource::Default,
    ];
    all[number as usize - 1]
}

fn config_type(number: i8) -> ConfigType {
    let all = [
        ConfigType::Boolean,
        ConfigType::String,
        ConfigType::Int,
        ConfigType::Short,
        ConfigType::Long,
        ConfigType::Double,
        ConfigType::List,
        ConfigType::Class,
        ConfigType::Password,
    ];
    // Before version 3 the oracle has a 0, which is not written.
    all[number.max(1) as usize - 1]
}

impl Api for DescribeConfigs {
    const KEY: ApiKey = ApiKey::DescribeConfigs;
    type Request = DescribeConfigsRequest;
    type Response = DescribeConfigsResponse;

    fn request(s: &mut Source<'_>, version: i16) -> DescribeConfigsRequest {
        let flexible = version >= 4;
        let mut request = DescribeConfigsRequest::default().with_include_synonyms(s.bool());
        if version >= 3 {
            request.include_documentation = s.bool();
        }
        request.resources = s.list(|s| {
            DescribeConfigsResource::default()
                .with_resource_type(s.within(0, 8))
                .with_resource_name(s.text())
                .with_configuration_keys(s.maybe(|s| s.list(Source::text)))
                .with_unknown_tagged_fields(s.tags(flexible))
        });
        request.with_unknown_tagged_fields(s.tags(flexible))
    }

    fn read(ours: Request<'_>, _: &[u8], _: i16) -> DescribeConfigsRequest {
        let Request::DescribeConfigs(ours) = ours else {
            panic!("{ours:?}")
        };
        let resource = |resource: kafka::DescribeConfigsResource<'_>| {
            let keys = resource.keys;
            DescribeConfigsResource::default()
                .with_resource_type(resource.resource_type.0)
                .with_resource_name(str_bytes(resource.name))
                .with_configuration_keys(keys.map(|keys| keys.iter().map(str_bytes).collect()))
        };
        DescribeConfigsRequest::default()
            .with_resources(ours.resources.iter().map(resource).collect())
            .with_include_synonyms(ours.include_synonyms)
            .with_include_documentation(ours.include_documentation)
    }

    fn response(s: &mut Source<'_>, version: i16) -> DescribeConfigsResponse {
        let mut response = DescribeConfigsResponse::default();
        response.results = s.list(|s| {
            DescribeConfigsResult::default()
                .with_error_code(s.error())
                .with_error_message(s.maybe(Source::text))
                .with_resource_type(s.within(0, 8))
                .with_resource_name(s.text())
                .with_configs(s.list(|s| entry(s, version)))
        });
        response
    }

    fn write(theirs: &DescribeConfigsResponse, version: i16) -> Vec<u8> {
        let results = theirs
            .results
            .iter()
            .map(|result| kafka::DescribedResource {
                error: error_code(result.error_code),
                error_message: maybe_text(&result.error_message),
                resource_type: ResourceType(result.resource_type),
                name: text(&result.resource_name),
                configs: result.configs.iter().map(ours).collect(),
            });
        of_lines(Self::KEY, version, results)
    }
}

fn entry(s: &mut Source<'_>, version: i16) -> DescribeConfigsResourceResult {
    let mut entry = DescribeConfigsResourceResult::default()
        .with_name(s.text())
        .with_value(s.maybe(Source::text))
        .with_read_only(s.bool())
        .with_config_source(s.within(1, 5))
        .with_is_sensitive(s.bool());
    entry.synonyms = s.list(|s| {
        DescribeConfigsSynonym::default()
            .with_name(s.text())
            .with_value(s.maybe(Source::text))
            .with_source(s.within(1, 5))
    });
    if version >= 3 {
        entry.config_type = s.within(1, 9);
        entry.documentation = s.maybe(Source::text);
    }
    entry
}

fn ours(entry: &DescribeConfigsResourceResult) -> kafka::ConfigEntry<'_> {
    let synonyms = entry.synonyms.iter().map(|synonym| kafka::ConfigSynonym {
        name: text(&synonym.name),
        value: maybe_text(&synonym.value),
        source: source(synonym.source),
    });
    kafka::ConfigEntry {
        name: text(&entry.name),
        value: maybe_text(&entry.value),
        read_only: entry.read_only,
        source: source(entry.config_source),
        is_sensitive: entry.is_sensitive,
        synonyms: synonyms.collect(),
        config_type: config_type(entry.config_type),
        documentation: maybe_text(&entry.documentation),
    }
}
