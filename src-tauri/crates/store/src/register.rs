//! The in-flight register: a file of fixed slots, one for each request that is under way.
//! A request costs two positional writes here and nothing else before the ledger.
//!
//! The file is written out in full when it is made, so a full disk cannot refuse a slot.
//! The writes are not synced: a killed process loses nothing, a power cut may.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use meter::Receipt;

use crate::slot::{self, FINISHED_AT, FREE, Found, SLOT, STATE_AT};

/// How many requests can be under way, or finished and not yet in the ledger, and still
/// survive a crash.
pub(crate) const SLOTS: usize = 4096;

/// One use of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotUse {
    index: u16,
    generation: u64,
}

/// The register. All methods may be called from any thread.
pub(crate) struct Register {
    file: Option<File>,
    /// Last freed, first used: few pages stay dirty.
    free: Mutex<Vec<u16>>,
    generation: AtomicU64,
}

/// What an earlier process left in the register.
#[derive(Default)]
pub(crate) struct Remains {
    /// Receipts, each with the slot it still occupies.
    pub(crate) receipts: Vec<(SlotUse, Box<Receipt>)>,
    /// Slots with bytes that are no receipt.
    pub(crate) torn: u64,
}

impl Register {
    /// Opens or makes the file and reads what an earlier process left.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Remains)> {
        let mut file =
            private(OpenOptions::new().read(true).write(true).create(true)).open(path)?;
        let remains = read_all(&mut file)?;
        lengthen(&mut file)?;
        let mut taken = vec![false; SLOTS];
        remains.receipts.iter().for_each(|(slot, _)| taken[usize::from(slot.index)] = true);
        let free = (0..SLOTS as u16).rev().filter(|index| !taken[usize::from(*index)]).collect();
        // Freed slots still hold receipts of former generations; a random beginning makes
        // sure that none of them is taken for one of ours.
        let generation = AtomicU64::new(getrandom::u64().map_err(io::Error::other)?);
        Ok((Self { file: Some(file), free: Mutex::new(free), generation }, remains))
    }

    /// Reads what is in a register that may be another process's: a request under way, a receipt
    /// that is not in the ledger yet. Changes nothing.
    pub(crate) fn look(path: &Path) -> io::Result<Remains> {
        match File::open(path) {
            Ok(mut file) => read_all(&mut file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Remains::default()),
            Err(error) => Err(error),
        }
    }

    /// A register without a file: every request goes unregistered.
    pub(crate) fn absent() -> Self {
        Self { file: None, free: Mutex::default(), generation: AtomicU64::new(0) }
    }

    /// Writes the draft of a request that begins. Absent: no slot was free.
    pub(crate) fn begin(&self, draft: &Receipt) -> Option<SlotUse> {
        let file = self.file.as_ref()?;
        let index = self.lock().pop()?;
        let generation = self.generation.fetch_add(1, Ordering::Relaxed);
        let written = write_at(file, &slot::draft(generation, draft), offset(index));
        if written.is_err() {
            self.lock().push(index);
            return None;
        }
        Some(SlotUse { index, generation })
    }

    /// Writes the receipt of a request that ended. Should that fail, the draft remains.
    pub(crate) fn finish(&self, slot: SlotUse, receipt: &Receipt) {
        let Some(file) = &self.file else { return };
        let bytes = slot::finished(slot.generation, receipt);
        if let Err(error) = write_at(file, &bytes, offset(slot.index) + FINISHED_AT as u64) {
            tracing::warn!(%error, "a finished receipt could not be written to its slot");
        }
    }

    /// Reads back the draft of a request that nobody finished.
    pub(crate) fn draft(&self, slot: SlotUse) -> Option<Box<Receipt>> {
        let mut bytes = vec![0; SLOT];
        read_at(self.file.as_ref()?, &mut bytes, offset(slot.index)).ok()?;
        match slot::read(&bytes) {
            Found::Receipt { receipt, generation } if generation == slot.generation => {
                Some(receipt)
            }
            Found::Receipt { .. } | Found::Free | Found::Torn => None,
        }
    }

    /// Gives the slot to the next request. Its receipt is in the ledger (or counted lost).
    pub(crate) fn release(&self, slot: SlotUse) {
        if let Some(file) = &self.file {
            // If this fails, the next start finds the receipt in the ledger and skips it.
            let _ = write_at(file, &[FREE], offset(slot.index) + STATE_AT as u64);
        }
        self.lock().push(slot.index);
    }

    /// How many slots are free.
    pub(crate) fn free(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<u16>> {
        self.free.lock().expect("nothing panics while it holds the list of free slots")
    }
}

fn offset(index: u16) -> u64 {
    u64::from(index) * SLOT as u64
}

fn read_all(file: &mut File) -> io::Result<Remains> {
    let mut remains = Remains::default();
    let mut bytes = vec![0; SLOT];
    let mut input = io::BufReader::with_capacity(16 * SLOT, file);
    for index in 0..SLOTS as u16 {
        match input.read_exact(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            done => done?,
        }
        match slot::read(&bytes) {
            Found::Free => {}
            Found::Torn => remains.torn += 1,
            Found::Receipt { receipt, generation } => {
                remains.receipts.push((SlotUse { index, generation }, receipt));
            }
        }
    }
    Ok(remains)
}

/// Fills the file up with zeros to its full length, so that its blocks are its own.
fn lengthen(file: &mut File) -> io::Result<()> {
    let mut at = file.seek(SeekFrom::End(0))?;
    let zeros = vec![0; 16 * SLOT];
    while at < offset(SLOTS as u16) {
        let len = (offset(SLOTS as u16) - at).min(zeros.len() as u64);
        file.write_all(&zeros[..len as usize])?;
        at += len;
    }
    Ok(())
}

/// Readable by the user alone.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(windows)]
fn write_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = std::os::windows::fs::FileExt::seek_write(file, bytes, offset)?;
        bytes = &bytes[written..];
        offset += written as u64;
    }
    Ok(())
}

#[cfg(windows)]
fn read_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                bytes = &mut bytes[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}
