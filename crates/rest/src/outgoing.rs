//! An answer on its way out: held in the room that the house has for answers until the client has
//! taken it, and handed on in pieces, so that how much of it was taken can be seen from outside.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use engine::{Failure, Hold, Holder, House};
use http::Response;
use http_body::{Body as _, Frame, SizeHint};

use crate::binary::HeldByItself;

/// Bytes that are handed on at once.
const PIECE: usize = 128 << 10;

/// The same answer, held. One whose length is not known holds what it has by itself.
///
/// # Errors
/// `limit-share`, `limit-busy`: then the answer is not given.
pub(crate) fn held(
    house: &House,
    holder: Holder,
    response: Response<Body>,
) -> Result<Response<Body>, Failure> {
    if response.extensions().get::<HeldByItself>().is_some() {
        return Ok(response);
    }
    let Some(size) = response.body().size_hint().exact().filter(|n| *n > 0) else {
        return Ok(response);
    };
    let mut hold = house.hold_answer(holder);
    hold.grow(usize::try_from(size).unwrap_or(usize::MAX))?;
    Ok(response.map(|body| {
        Body::new(Outgoing {
            body,
            left: Bytes::new(),
            _hold: hold,
        })
    }))
}

struct Outgoing {
    body: Body,
    /// The rest of a frame.
    left: Bytes,
    _hold: Hold,
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left.is_empty() {
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.left = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                other => return other,
            }
        }
        let size = self.left.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.left.split_to(size)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.body.size_hint();
        let left = self.left.len() as u64;
        match hint.exact() {
            Some(rest) => SizeHint::with_exact(rest + left),
            None => hint,
        }
    }
}
