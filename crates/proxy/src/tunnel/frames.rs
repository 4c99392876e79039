//! Where the frames of a WebSocket end (RFC 6455 5.2), so that a close frame of ours is not taken for somebody's payload.

/// Follows one direction of a WebSocket.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// The bytes of an unfinished frame header.
    header: [u8; 14],
    have: usize,
    /// Payload that is still to come.
    payload: u64,
}

impl Frames {
    /// True between two frames.
    pub(crate) fn is_between(&self) -> bool {
        self.have == 0 && self.payload == 0
    }

    /// Follows bytes that were passed on.
    pub(crate) fn pass(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = rest.get(self.step(rest)..).unwrap_or_default();
        }
    }

    /// How many of these bytes belong to the frame that is under way; follows them. Zero between two frames.
    pub(crate) fn finish(&mut self, bytes: &[u8]) -> usize {
        let mut used = 0;
        while used < bytes.len() && !self.is_between() {
            used += self.step(bytes.get(used..).unwrap_or_default());
        }
        used
    }

    /// Takes in payload, or one byte of a header; returns how much.
    fn step(&mut self, bytes: &[u8]) -> usize {
        if self.payload > 0 {
            let taken = usize::try_from(self.payload).map_or(bytes.len(), |payload| payload.min(bytes.len()));
            self.payload -= taken as u64;
            return taken;
        }
        if let (Some(slot), Some(byte)) = (self.header.get_mut(self.have), bytes.first()) {
            *slot = *byte;
            self.have += 1;
        }
        if self.have >= 2 && self.have == self.header_length() {
            self.payload = self.payload_length();
            self.have = 0;
        }
        1
    }

    fn header_length(&self) -> usize {
        let second = self.header[1];
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + extended + mask
    }

    fn payload_length(&self) -> u64 {
        let bytes = |count: usize| {
            let field = self.header.iter().skip(2).take(count);
            field.fold(0, |length, byte| length << 8 | u64::from(*byte))
        };
        match self.header[1] & 0x7f {
            126 => bytes(2),
            // The highest bit must be 0; what a liar claims only matters to when the tunnel is closed.
            127 => bytes(8),
            short => u64::from(short),
        }
    }
}

/// A close frame from a server, with a code and a reason of at most 123 bytes.
pub(crate) fn close(code: u16, reason: &str) -> Vec<u8> {
    let reason = reason.as_bytes().get(..reason.len().min(123)).unwrap_or_default();
    let length = u8::try_from(reason.len() + 2).unwrap_or(2);
    let mut frame = vec![0x88, length];
    frame.extend_from_slice(&code.to_be_bytes());
    frame.extend_from_slice(reason);
    frame
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(length: usize, is_masked: bool) -> Vec<u8> {
        let mask = if is_masked { 0x80 } else { 0 };
        let mut bytes = vec![0x82];
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short), _) if short < 126 => bytes.push(mask + short),
            (_, Ok(middle)) => {
                bytes.push(mask + 126);
                bytes.extend(middle.to_be_bytes());
            }
            _ => {
                bytes.push(mask + 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend(std::iter::repeat_n(0x55, if is_masked { 4 } else { 0 } + length));
        bytes
    }

    proptest! {
        #[test]
        fn frames_end_where_they_end(
            lengths in prop::collection::vec((prop_oneof![0usize..3, 124usize..129, 65534usize..65538], any::<bool>()), 1..5),
            cut in any::<prop::sample::Index>(),
            step in 1usize..70_000,
        ) {
            let frames: Vec<Vec<u8>> = lengths.iter().map(|(length, is_masked)| frame(*length, *is_masked)).collect();
            let bytes = frames.concat();
            let ends: Vec<usize> = frames.iter().scan(0, |at, frame| { *at += frame.len(); Some(*at) }).collect();
            let cut = cut.index(bytes.len());
            let mut tracker = Frames::default();
            for chunk in bytes[..cut].chunks(step) {
                tracker.pass(chunk);
            }
            let is_end = cut == 0 || ends.contains(&cut);
            prop_assert_eq!(tracker.is_between(), is_end);
            let next = if is_end { cut } else { *ends.iter().find(|end| **end > cut).unwrap() };
            prop_assert_eq!(cut + tracker.finish(&bytes[cut..]), next);
            prop_assert!(tracker.is_between());
        }
    }

    #[test]
    fn a_close_frame_carries_its_code() {
        assert_eq!(close(4403, "no"), [0x88, 4, 0x11, 0x33, b'n', b'o']);
        assert_eq!(close(1001, &"x".repeat(200)).len(), 127);
    }
}
