//! As much of HTTP/1.1 as a scraper and a health check need: one GET for each connection.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest head of a request, in bytes.
const MOST: usize = 8192;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    BadRequest,
    NotFound,
    MethodNotAllowed,
    Unavailable,
}

impl Status {
    fn line(self) -> &'static str {
        match self {
            Status::Ok => "200 OK",
            Status::BadRequest => "400 Bad Request",
            Status::NotFound => "404 Not Found",
            Status::MethodNotAllowed => "405 Method Not Allowed",
            Status::Unavailable => "503 Service Unavailable",
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    status: Status,
    kind: &'static str,
    body: String,
}

impl Answer {
    pub(super) fn plain(status: Status, text: &str) -> Self {
        Answer {
            status,
            kind: "text/plain; charset=utf-8",
            body: format!("{text}\n"),
        }
    }

    pub(super) fn metrics(body: String) -> Self {
        Answer {
            status: Status::Ok,
            kind: "text/plain; version=0.0.4; charset=utf-8",
            body,
        }
    }

    pub(super) async fn send(self, stream: &mut TcpStream) {
        let Answer { status, kind, body } = self;
        let head = format!(
            "HTTP/1.1 {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            status.line(),
            body.len()
        );
        // The client may have gone.
        let _ = stream
            .write_all(&[head.as_bytes(), body.as_bytes()].concat())
            .await;
        let _ = stream.shutdown().await;
    }
}

/// Reads the head of a request, and the path that it asks for; else what it is answered with.
pub(super) async fn path(stream: &mut TcpStream) -> Result<String, Answer> {
    let bad = || Answer::plain(Status::BadRequest, "not a request of HTTP/1.1");
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut part = [0; 1024];
        match stream.read(&mut part).await {
            Ok(length @ 1..) if head.len() + length <= MOST => {
                head.extend_from_slice(&part[..length])
            }
            _ => return Err(bad()),
        }
    }
    let text = String::from_utf8_lossy(&head);
    request_line(text.lines().next().unwrap_or_default()).ok_or_else(bad)?
}

/// The path of a GET, without its query; `None`: it is no request.
fn request_line(line: &str) -> Option<Result<String, Answer>> {
    let words: Vec<&str> = line.split(' ').collect();
    let &[method, target, version] = &words[..] else {
        return None;
    };
    if !version.starts_with("HTTP/1.") || !target.starts_with('/') {
        return None;
    }
    let path = target.split('?').next().unwrap_or_default().to_owned();
    Some(match method {
        "GET" => Ok(path),
        _ => Err(Answer::plain(Status::MethodNotAllowed, "only GET")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_read_and_nothing_else_is_taken_for_a_request() {
        let path = |line| request_line(line).map(|read| read.map_err(|answer| answer.status));
        assert_eq!(path("GET /metrics HTTP/1.1"), Some(Ok("/metrics".into())));
        assert_eq!(
            path("GET /readyz?verbose=1 HTTP/1.0"),
            Some(Ok("/readyz".into()))
        );
        assert_eq!(
            path("POST /metrics HTTP/1.1"),
            Some(Err(Status::MethodNotAllowed))
        );
        for bad in [
            "",
            "GET",
            "GET /metrics",
            "GET metrics HTTP/1.1",
            "GET / x HTTP/1.1",
            "GET / HTTP/2",
        ] {
            assert_eq!(path(bad), None, "{bad}");
        }
    }
}
