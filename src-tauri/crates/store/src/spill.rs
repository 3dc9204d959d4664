//! Where finished receipts go when the ledger cannot be written and the register's slots
//! run out: a file of at most 64 MiB, read back in order once the ledger works again.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use meter::Receipt;

use crate::pack::Unpack;
use crate::record::{put_receipt, take_receipt};
use crate::register::private;

/// How large the file may grow.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
const HEADER: usize = 8;

/// The spill file. Entries are `length 4 | crc 4 | receipt`.
pub(crate) struct Spill {
    path: PathBuf,
    len: u64,
}

impl Spill {
    /// Takes note of what an earlier process left.
    pub(crate) fn at(path: PathBuf) -> Self {
        let len = std::fs::metadata(&path).map_or(0, |file| file.len());
        Self { path, len }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends receipts; all of them or none. They are on the disk then.
    pub(crate) fn append<'a>(
        &mut self,
        receipts: impl Iterator<Item = &'a Receipt>,
    ) -> io::Result<()> {
        self.append_with(receipts, File::sync_data)
    }

    /// Appends one receipt, which the system writes out when it likes to.
    pub(crate) fn append_soon(&mut self, receipt: &Receipt) -> io::Result<()> {
        self.append_with(std::iter::once(receipt), |_| Ok(()))
    }

    fn append_with<'a>(
        &mut self,
        receipts: impl Iterator<Item = &'a Receipt>,
        sync: fn(&File) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut bytes = Vec::new();
        for receipt in receipts {
            put_entry(&mut bytes, receipt);
        }
        let len = self.len + bytes.len() as u64;
        if len > MOST_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut options = OpenOptions::new();
        let mut file =
            private(options.create(true).truncate(false).write(true)).open(&self.path)?;
        file.seek(SeekFrom::Start(self.len))?;
        if let Err(error) = file.write_all(&bytes).and_then(|()| sync(&file)) {
            file.set_len(self.len)?;
            return Err(error);
        }
        self.len = len;
        Ok(())
    }

    /// Reads up to `most` receipts from an offset; says where the next ones begin. What is
    /// damaged ends the reading, for nothing after it can be trusted.
    pub(crate) fn read(&self, from: u64, most: usize) -> io::Result<(Vec<Receipt>, Option<u64>)> {
        let mut file = io::BufReader::new(File::open(&self.path)?);
        file.seek(SeekFrom::Start(from))?;
        let (mut receipts, mut at) = (Vec::new(), from);
        while receipts.len() < most {
            let Some((receipt, len)) = read_entry(&mut file) else {
                return Ok((receipts, None));
            };
            receipts.push(receipt);
            at += len;
        }
        Ok((receipts, Some(at)))
    }

    /// Becomes what another one is, which is empty then. This one is empty before.
    pub(crate) fn take_over(&mut self, other: &mut Self) -> io::Result<()> {
        std::fs::rename(&other.path, &self.path)?;
        self.len = std::mem::take(&mut other.len);
        Ok(())
    }

    /// Removes the file: all of it is in the ledger. It is emptied first, for one that cannot be
    /// removed would be read again by the next start, which counts anew what was pruned since.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        OpenOptions::new().write(true).open(&self.path)?.set_len(0)?;
        std::fs::remove_file(&self.path)?;
        self.len = 0;
        Ok(())
    }

    /// Forgets the file although it is still there; the next start reads it again and skips
    /// what the ledger has.
    pub(crate) fn disregard(&mut self) {
        self.len = 0;
    }
}

pub(crate) fn put_entry(bytes: &mut Vec<u8>, receipt: &Receipt) {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; HEADER]);
    put_receipt(bytes, receipt);
    let len = (bytes.len() - start - HEADER) as u32;
    let crc = crc32fast::hash(&bytes[start + HEADER..]);
    bytes[start..start + 4].copy_from_slice(&len.to_be_bytes());
    bytes[start + 4..start + HEADER].copy_from_slice(&crc.to_be_bytes());
}

pub(crate) fn read_entry(input: &mut impl Read) -> Option<(Receipt, u64)> {
    let mut header = [0; HEADER];
    input.read_exact(&mut header).ok()?;
    let [a, b, c, d, crc @ ..] = header;
    let len = u32::from_be_bytes([a, b, c, d]);
    let mut body = Vec::new();
    input.take(u64::from(len)).read_to_end(&mut body).ok()?;
    if body.len() as u64 != u64::from(len) || crc32fast::hash(&body).to_be_bytes() != crc {
        return None;
    }
    let receipt = take_receipt(&mut Unpack::new(&body)).ok()?;
    Some((receipt, HEADER as u64 + u64::from(len)))
}
