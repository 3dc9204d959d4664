//! What paths mean, as the provider files and the general table say.

use meter::provider::{Providers, Route};

/// `provider method path -> kind format model`, `-` for none.
const TABLE: &str = "
openai     POST /v1/chat/completions                  -> chat          openai-chat        -
openai     GET  /v1/chat/completions/chatcmpl-1       -> poll          openai-chat        -
openai     POST /v1/responses                         -> chat          openai-responses   -
openai     GET  /v1/responses/resp_1                  -> poll          openai-responses   -
openai     POST /v1/responses/resp_1/cancel           -> poll          openai-responses   -
openai     POST /v1/responses/compact                 -> chat          openai-responses   -
openai     POST /v1/responses/input_tokens            -> count         -                  -
openai     GET  /v1/models/some-model                 -> meta          -                  some-model
openai     POST /v1/files                             -> meta          -                  -
openai     GET  /v1/files/file-1/content              -> meta          -                  -
openai     POST /v1/vector_stores                     -> meta          -                  -
openai     POST /v1/threads/t1/messages               -> meta          -                  -
openai     POST /v1/fine_tuning/jobs                  -> fine_tuning   openai-job         -
mistral    POST /v1/fine_tuning/jobs                  -> fine_tuning   openai-job         -
azure      POST /openai/fine_tuning/jobs              -> fine_tuning   openai-job         -
azure      GET  /openai/fine_tuning/jobs/ftjob-1      -> poll          openai-job         -
together   POST /v1/fine-tunes                        -> fine_tuning   openai-job         -
together   GET  /v1/fine-tunes/ft-1                   -> poll          openai-job         -
together   GET  /v1/fine-tunes/ft-1/events            -> meta          -                  -
together   POST /v1/fine-tunes/ft-1/cancel            -> poll          openai-job         -
openai     GET  /v1/nobody/knows                      -> other         -                  -
azure      POST //openai/deployments/mine/completions -> completion    openai-completions mine
anthropic  POST /v1/messages                          -> chat          anthropic-messages -
anthropic  POST /v1/messages/count_tokens             -> count         -                  -
anthropic  POST /v1/messages/batches                  -> batch         batch              -
anthropic  GET  /v1/messages/batches/b1/results       -> poll          batch              -
gemini     POST /v1beta/models/m-1:generateContent    -> chat          gemini-generate    m-1
gemini     POST /v1beta/models/m-1%3AcountTokens      -> count         -                  m-1
gemini     POST /v1beta/models/m:batchEmbedContents   -> embedding     gemini-embed       m
gemini     GET  /v1beta/files/f1:download             -> meta          -                  -
gemini     POST /v1beta/openai/chat/completions       -> chat          openai-chat        -
ollama     POST /api/chat                             -> chat          ollama-native      -
ollama     POST /api/embeddings                       -> embedding     ollama-native      -
ollama     POST /v1/embeddings                        -> embedding     openai-embeddings  -
ollama     GET  /api/tags                             -> meta          -                  -
openrouter POST /api/v1/messages                      -> chat          anthropic-messages -
groq       POST /openai/v1/chat/completions           -> chat          openai-chat        -
mistral    POST /v1/fim/completions                   -> completion    openai-chat        -
";

#[test]
fn every_path_of_the_table_means_what_it_says() {
    for row in TABLE.lines().filter(|row| !row.is_empty()) {
        let words: Vec<&str> = row.split_whitespace().collect();
        let provider = Providers::built_in().get(words[0]).unwrap();
        let Route { format, kind, model, .. } = provider.route(words[1], words[2]);
        let format = format.map_or("-", |f| f.as_str());
        let got = [kind.as_str(), format, model.as_deref().unwrap_or("-")];
        assert_eq!(got, words[4..], "{row}");
    }
}

#[test]
fn every_provider_says_where_it_is_or_how_to_say_so() {
    for provider in Providers::built_in().iter() {
        let origin = provider.base_url.as_deref();
        assert!(origin.is_some() != provider.configure.is_some(), "{}", provider.id);
        let is_origin = |url: &str| url.split('/').count() == 3 && url.starts_with("http");
        assert!(origin.is_none_or(is_origin), "{}", provider.id);
        let host = origin.and_then(|url| url.strip_prefix("https://"));
        assert!(host.is_none_or(|host| provider.owns_host(host)), "{}", provider.id);
    }
}
