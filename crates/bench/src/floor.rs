//! The floor: an axum server that does nothing but give the same answer, in a process of its own,
//! with the same runtime and allocator as `insula serve`. What it answers was captured from
//! Insula: the same headers and the same body.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use crate::http::{Answer, Base, Connection};
use crate::process::Process;

/// An answer to give again and again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Captured {
    /// The status.
    pub(crate) status: u16,
    /// Headers, without those that the HTTP library writes.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: String,
}

impl Captured {
    /// Keeps the last answer of a connection.
    pub(crate) fn from_answer(connection: &Connection, answer: &Answer) -> Self {
        let written_by_library = ["content-length", "date", "connection", "transfer-encoding"];
        let mut headers = connection.headers(answer);
        headers.retain(|(name, _)| !written_by_library.contains(&name.as_str()));
        let body = String::from_utf8_lossy(connection.body(answer)).into_owned();
        Self {
            status: answer.status,
            headers,
            body,
        }
    }
}

/// Serves the answer in the file on every URL of a free port of loopback; prints the port.
pub(crate) fn serve(file: &Path) -> anyhow::Result<()> {
    let captured: Captured = serde_json::from_slice(&std::fs::read(file)?)?;
    let status = StatusCode::from_u16(captured.status)?;
    let body = Bytes::from(captured.body);
    let mut headers = HeaderMap::new();
    for (name, value) in &captured.headers {
        headers.insert(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    let answer = move || {
        let (headers, body) = (headers.clone(), body.clone());
        async move { same(status, headers, body) }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let mut out = std::io::stdout();
        writeln!(out, "{}", listener.local_addr()?.port())?;
        out.flush()?;
        let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, Router::new().fallback(answer)).await?;
        Ok(())
    })
}

fn same(status: StatusCode, headers: HeaderMap, body: Bytes) -> Response {
    (status, headers, body).into_response()
}

/// A running floor.
#[derive(Debug)]
pub(crate) struct Floor {
    process: Process,
    /// Where it listens.
    pub(crate) base: Base,
    file: PathBuf,
}

impl Floor {
    /// Starts this program again as a floor with this answer. `like` gives path and
    /// authorization, so that requests have the same bytes too.
    pub(crate) fn start(captured: &Captured, like: &Base, folder: &Path) -> anyhow::Result<Self> {
        let file = folder.join(format!("floor-{}.json", captured.body.len()));
        std::fs::write(&file, serde_json::to_vec(captured)?)?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("floor")
            .arg(&file)
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the floor")?;
        let stdout = child.stdout.take().context("the floor has no output")?;
        let process = Process::new(child);
        let mut port = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut port)?;
        let base = Base {
            authority: format!("127.0.0.1:{}", port.trim()),
            ..like.clone()
        };
        Ok(Self {
            process,
            base,
            file,
        })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.process.stop(Duration::from_secs(2));
        let _ = std::fs::remove_file(&self.file);
    }
}
