//! TLS, HTTP/2 and proxies: what depends on the environment runs in a process of its own.

mod rig;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use gateway::listener::Limits;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use meter::receipt::Status;
use rig::{Got, Rig, answering, json, keyless, upstream};
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

/// A secure upstream that echoes bodies and tells what it got, with a name only we vouch for.
struct Secure {
    address: SocketAddr,
    got: mpsc::UnboundedReceiver<http::request::Parts>,
    trust: PathBuf,
    _folder: tempfile::TempDir,
}

async fn secure(protocols: &[&[u8]]) -> Secure {
    let names = vec!["localhost".to_owned(), "provider.test".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("set up");
    let folder = tempfile::tempdir().expect("set up");
    let trust = folder.path().join("trust.pem");
    std::fs::write(&trust, made.cert.pem()).expect("set up");
    let key = made.signing_key.serialize_der().try_into().expect("set up");
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("set up")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("set up");
    config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("set up");
    let address = listener.local_addr().expect("set up");
    let (sender, got) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(acceptor.clone(), stream, sender.clone()));
        }
    });
    Secure { address, got, trust, _folder: folder }
}

async fn serve(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    got: mpsc::UnboundedSender<http::request::Parts>,
) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(move |request: Request<Incoming>| {
        let got = got.clone();
        async move {
            let (parts, body) = request.into_parts();
            let _ = got.send(parts);
            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::new(body)))
        }
    });
    let io = TokioIo::new(stream);
    let _ = if is_h2 {
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(io, service)
            .await
    } else {
        hyper::server::conn::http1::Builder::new().serve_connection(io, service).await
    };
}

/// Runs the scenario below in a process with this environment; says what its client was told.
async fn call(base_url: &str, environment: &[(&str, &str)]) -> String {
    let mut child = tokio::process::Command::new(std::env::current_exe().expect("set up"));
    child.args(["--ignored", "--exact", "scenario", "--nocapture"]).env("BASE_URL", base_url);
    for name in [
        "SSL_CERT_FILE",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "https_proxy",
        "http_proxy",
        "all_proxy",
        "no_proxy",
    ] {
        child.env_remove(name);
    }
    let output = child
        .envs(environment.iter().copied())
        .stderr(Stdio::inherit())
        .output()
        .await
        .expect("set up");
    let said = String::from_utf8(output.stdout).expect("set up");
    assert!(output.status.success(), "{said}");
    said.lines()
        .find_map(|line| line.strip_prefix("told: "))
        .expect("a word from the client")
        .to_owned()
}

#[tokio::test]
#[ignore = "runs in a process of its own, started by the tests below"]
async fn scenario() {
    let base_url = std::env::var("BASE_URL").unwrap();
    let mut rig = Rig::with(Limits::default(), |snapshot| {
        snapshot.providers.insert(keyless("up", &base_url));
    })
    .await;
    let answer = rig.exchange(rig::post("/v1/a%2Fb?x=%20", r#"{"model":"m"}"#)).await;
    let receipt = rig.receipt().await;
    if answer.status() == 200 {
        assert_eq!(receipt.status, Status::Succeeded);
        // Once more over what is known of the upstream by now, and over what is open by now.
        for _ in 0..2 {
            let again = rig.exchange(rig::post("/v1/a%2Fb?x=%20", r#"{"model":"m"}"#)).await;
            assert_eq!((again.status(), again.content()), (200, answer.content()));
            rig.receipt().await;
        }
        println!("told: {}", String::from_utf8(answer.content()).unwrap());
    } else {
        println!("told: {}", receipt.error_type.unwrap());
    }
}

#[tokio::test]
async fn a_certificate_in_ssl_cert_file_is_trusted_and_no_other() {
    let mut up = secure(&[b"http/1.1"]).await;
    let base = format!("https://localhost:{}", up.address.port());
    let trust = up.trust.to_str().unwrap();
    assert_eq!(call(&base, &[("SSL_CERT_FILE", trust)]).await, r#"{"model":"m"}"#);
    assert_eq!(call(&base, &[]).await, "upstream_tls");
    for _ in 0..3 {
        let got = up.got.recv().await.unwrap();
        assert_eq!(got.version, http::Version::HTTP_11);
        assert_eq!(got.uri, "/v1/a%2Fb?x=%20");
        assert_eq!(got.headers["host"], format!("localhost:{}", up.address.port()));
    }
}

#[tokio::test]
async fn http_2_carries_the_same_path_and_body_without_a_second_host() {
    let mut up = secure(&[b"h2", b"http/1.1"]).await;
    let base = format!("https://localhost:{}", up.address.port());
    let trust = up.trust.to_str().unwrap();
    assert_eq!(call(&base, &[("SSL_CERT_FILE", trust)]).await, r#"{"model":"m"}"#);
    let got = up.got.recv().await.unwrap();
    assert_eq!(got.version, http::Version::HTTP_2);
    assert_eq!(got.uri.path_and_query().unwrap(), "/v1/a%2Fb?x=%20");
    assert_eq!(got.uri.authority().unwrap(), &format!("localhost:{}", up.address.port()));
    assert!(got.headers.get("host").is_none() && got.headers.get("connection").is_none());
}

/// A proxy that tunnels everything to `target` and tells the heads it was sent.
async fn tunnel(target: SocketAddr) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let (sender, heads) = mpsc::unbounded_channel();
    let address = upstream(move |mut stream| {
        let sender = sender.clone();
        async move {
            let (head, _) = rig::read_head(&mut stream).await?.expect("a request");
            let _ = sender.send(head);
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            let mut on = TcpStream::connect(target).await?;
            copy_bidirectional(&mut stream, &mut on).await.map(|_| ())
        }
    })
    .await;
    (address, heads)
}

#[tokio::test]
async fn https_goes_through_the_proxy_in_a_tunnel() {
    let up = secure(&[b"http/1.1"]).await;
    let (proxy, mut heads) = tunnel(up.address).await;
    let trust = up.trust.to_str().unwrap();
    let proxy = format!("http://me:word@{proxy}");
    let environment = [("SSL_CERT_FILE", trust), ("HTTPS_PROXY", &*proxy)];
    assert_eq!(call("https://provider.test", &environment).await, r#"{"model":"m"}"#);
    let head = heads.recv().await.unwrap();
    assert!(head.starts_with("CONNECT provider.test:443 HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains("proxy-authorization: basic "), "{head}");
    let environment =
        [("SSL_CERT_FILE", trust), ("HTTPS_PROXY", &*proxy), ("NO_PROXY", "provider.test")];
    assert_eq!(call("https://provider.test", &environment).await, "upstream_dns");
}

#[tokio::test]
async fn http_goes_through_the_proxy_with_its_whole_address() {
    let (proxy, mut got) = answering(json("200 OK", "{}")).await;
    let proxy = format!("http://me:word@{proxy}");
    assert_eq!(call("http://provider.test", &[("HTTP_PROXY", &proxy)]).await, "{}");
    let Got { head, .. } = got.recv().await.unwrap();
    assert!(head.starts_with("POST http://provider.test/v1/a%2Fb?x=%20 HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains("proxy-authorization: basic "), "{head}");
}

#[tokio::test]
async fn this_machine_is_reached_without_the_proxy() {
    let (address, _got) = answering(json("200 OK", "{}")).await;
    let environment = [("HTTP_PROXY", "http://127.0.0.1:1"), ("ALL_PROXY", "http://127.0.0.1:1")];
    assert_eq!(call(&format!("http://{address}"), &environment).await, "{}");
}
