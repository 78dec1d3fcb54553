//! zlib and zstd, one frame of the compressed protocol at a time.
//!
//! The state of a codec is large (a quarter of a megabyte for zlib) and is needed only while a
//! frame is worked on, so connections borrow it: thousands of idle ones cost nothing.

use std::io;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use parking_lot::Mutex;
use zstd::stream::raw::{DParameter, Decoder as ZstdDecoder, InBuffer, Operation, OutBuffer};

/// How a connection's packets are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// zlib at its default level, as servers do.
    Zlib,
    /// zstd at a level from 1 to 22, which the client chooses.
    Zstd {
        /// The level.
        level: u8,
    },
}

/// zstd's own limit on the memory of a decoder: no frame of the protocol is longer than 16 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 24;
/// A worker serves many clients, and a level is no more than a wish: beyond this one zstd takes
/// milliseconds for a frame.
const ZSTD_LEVEL_MAX: u8 = 6;
/// Frames of so many bytes, which are single long packets, are compressed at the fastest level.
const LONG: usize = 256 << 10;
/// Codecs of a kind that are kept while nobody uses them.
const KEPT_MAX: usize = 32;

/// The codecs that nobody uses at the moment.
#[derive(Default)]
pub struct Codecs {
    deflaters: Mutex<Vec<Compress>>,
    zstd_compressors: Mutex<Vec<zstd::bulk::Compressor<'static>>>,
    decoders: Mutex<Vec<Decoder>>,
}

impl std::fmt::Debug for Codecs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Codecs")
    }
}

impl Codecs {
    /// Appends `plain` compressed.
    pub(super) fn compress(
        &self,
        algorithm: Algorithm,
        plain: &[u8],
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        match algorithm {
            Algorithm::Zlib => self.deflate(plain, out),
            Algorithm::Zstd { level } => self.compress_zstd(level, plain, out),
        }
    }

    fn deflate(&self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let idle = if plain.len() < LONG { self.deflaters.lock().pop() } else { None };
        let level = if plain.len() < LONG { Compression::default() } else { Compression::fast() };
        let mut codec = idle.unwrap_or_else(|| Compress::new(level, true));
        // zlib's own bound for its default window and memory level.
        let bound = plain.len() + (plain.len() >> 12) + (plain.len() >> 14) + 64;
        let start = out.len();
        out.resize(start + bound, 0);
        let status = codec.compress(plain, &mut out[start..], FlushCompress::Finish);
        let ended = matches!(status, Ok(Status::StreamEnd));
        out.truncate(start + codec.total_out() as usize);
        if !ended {
            return Err(io::Error::other("zlib could not compress a frame"));
        }
        if plain.len() < LONG {
            codec.reset();
            keep(&self.deflaters, codec);
        }
        Ok(())
    }

    fn compress_zstd(&self, level: u8, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let level = i32::from(if plain.len() < LONG { level.min(ZSTD_LEVEL_MAX) } else { 1 });
        let idle = self.zstd_compressors.lock().pop();
        let mut codec = match idle {
            Some(codec) => codec,
            None => zstd::bulk::Compressor::new(level)?,
        };
        codec.set_compression_level(level)?;
        let start = out.len();
        out.resize(start + zstd::zstd_safe::compress_bound(plain.len()), 0);
        let count = codec.compress_to_buffer(plain, &mut out[start..])?;
        out.truncate(start + count);
        keep(&self.zstd_compressors, codec);
        Ok(())
    }

    /// A decoder at the start of a frame.
    pub(super) fn decoder(&self, algorithm: Algorithm) -> io::Result<Decoder> {
        let fits = |decoder: &Decoder| {
            matches!(decoder, Decoder::Zlib(_)) == matches!(algorithm, Algorithm::Zlib)
        };
        let mut idle = self.decoders.lock();
        if let Some(at) = idle.iter().rposition(fits) {
            return Ok(idle.swap_remove(at));
        }
        drop(idle);
        Ok(match algorithm {
            Algorithm::Zlib => Decoder::Zlib(Decompress::new(true)),
            Algorithm::Zstd { .. } => {
                let mut decoder = ZstdDecoder::new()?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
                Decoder::Zstd(decoder)
            }
        })
    }

    /// Takes back a decoder that has decoded a whole frame of `plain` bytes.
    pub(super) fn give_back(&self, mut decoder: Decoder, plain: usize) {
        // A zstd decoder keeps memory for the longest frame that it has seen.
        let is_small = plain <= 1 << 20;
        if is_small && decoder.reset().is_ok() {
            keep(&self.decoders, decoder);
        }
    }
}

fn keep<T>(idle: &Mutex<Vec<T>>, codec: T) {
    let mut idle = idle.lock();
    if idle.len() < KEPT_MAX {
        idle.push(codec);
    }
}

/// Decompresses one frame, piece by piece.
pub(super) enum Decoder {
    Zlib(Decompress),
    Zstd(ZstdDecoder<'static>),
}

/// What a step of a [`Decoder`] did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) consumed: usize,
    pub(super) produced: usize,
    /// The frame is complete, its checksum right.
    pub(super) finished: bool,
}

impl Decoder {
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Step> {
        match self {
            Self::Zlib(codec) => {
                let (before_in, before_out) = (codec.total_in(), codec.total_out());
                let status = codec.decompress(input, output, FlushDecompress::None);
                let status = status.map_err(|error| io::Error::other(error.to_string()))?;
                Ok(Step {
                    consumed: (codec.total_in() - before_in) as usize,
                    produced: (codec.total_out() - before_out) as usize,
                    finished: status == Status::StreamEnd,
                })
            }
            Self::Zstd(codec) => {
                let (mut from, mut to) = (InBuffer::around(input), OutBuffer::around(output));
                let expects = codec.run(&mut from, &mut to)?;
                let (consumed, produced) = (from.pos(), to.pos());
                Ok(Step { consumed, produced, finished: expects == 0 })
            }
        }
    }

    fn reset(&mut self) -> io::Result<()> {
        match self {
            Self::Zlib(codec) => {
                codec.reset(true);
                Ok(())
            }
            Self::Zstd(codec) => codec.reinit(),
        }
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Zlib(_) => "Decoder::Zlib",
            Self::Zstd(_) => "Decoder::Zstd",
        })
    }
}
