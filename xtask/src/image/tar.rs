//! The archive format of POSIX 1988 ("ustar"), as much of it as an image needs.

/// An archive that grows. Nothing in it depends on when or where it was made.
#[derive(Default)]
pub(super) struct Tar(Vec<u8>);

const BLOCK: usize = 512;
const FILE: u8 = b'0';
const DIRECTORY: u8 = b'5';

impl Tar {
    /// Adds a file of root's.
    pub(super) fn file(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.header(name, FILE, mode, 0, content.len());
        self.0.extend_from_slice(content);
        self.pad();
    }

    /// Adds a directory that belongs to `owner`, a user and group.
    pub(super) fn directory(&mut self, name: &str, mode: u32, owner: u32) {
        self.header(&format!("{name}/"), DIRECTORY, mode, owner, 0);
    }

    /// The whole archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 2 * BLOCK, 0);
        self.0
    }

    fn header(&mut self, name: &str, kind: u8, mode: u32, owner: u32, size: usize) {
        assert!(name.len() <= 100, "{name} is too long for a header");
        let mut header = [0_u8; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, name.as_bytes());
        put(100, format!("{mode:07o}").as_bytes());
        put(108, format!("{owner:07o}").as_bytes());
        put(116, format!("{owner:07o}").as_bytes());
        put(124, format!("{size:011o}").as_bytes());
        put(136, format!("{:011o}", 0).as_bytes());
        // While the sum is taken, its own place holds spaces.
        put(148, &[b' '; 8]);
        put(156, &[kind]);
        put(257, b"ustar\x0000");
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend_from_slice(&header);
    }

    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn the_tar_program_reads_what_is_written() {
        let mut tar = Tar::default();
        tar.directory("usr", 0o755, 0);
        tar.file("usr/hello", 0o750, b"hello\n");
        tar.file("usr/block", 0o600, &[7; 512]);
        tar.file("usr/empty", 0o644, b"");
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("a.tar");
        fs::write(&path, tar.finish()).expect("written");

        let mut extract = Command::new("tar");
        extract
            .arg("--extract")
            .arg("--file")
            .arg(&path)
            .arg("--directory")
            .arg(home.path());
        assert!(extract.status().expect("tar starts").success());
        let read = |name: &str| fs::read(home.path().join(name)).expect("it is there");
        assert_eq!(read("usr/hello"), b"hello\n");
        assert_eq!(read("usr/block"), [7; 512]);
        assert_eq!(read("usr/empty"), b"");
        let mode = fs::metadata(home.path().join("usr/hello"))
            .expect("it is there")
            .permissions();
        assert_eq!(mode.mode() & 0o700, 0o700);
    }

    #[test]
    fn owners_and_modes_are_told() {
        let mut tar = Tar::default();
        tar.directory("run/portico", 0o750, 65532);
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("a.tar");
        fs::write(&path, tar.finish()).expect("written");
        let mut list = Command::new("tar");
        let output = list
            .args(["--list", "--verbose", "--numeric-owner", "--utc", "--file"])
            .arg(&path)
            .output();
        let text = String::from_utf8(output.expect("tar starts").stdout).expect("text");
        assert_eq!(text, "drwxr-x--- 65532/65532       0 1970-01-01 00:00 run/portico/\n");
    }
}
