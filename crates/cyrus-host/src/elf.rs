//! The symbols that a shared object defines and needs, read before any of its code runs
//! (System V ABI, chapters 4 and 5; ELF-64 Object File Format).

/// The names in a file's dynamic symbol table.
#[derive(Debug)]
pub struct Symbols<'a> {
    /// The symbols that it defines.
    pub defined: Vec<&'a [u8]>,
    /// The symbols that it needs from other objects.
    pub imported: Vec<&'a [u8]>,
}

const SHARED_OBJECT: u16 = 3;
const DYNAMIC_SYMBOLS: u32 = 11;
const WORD: usize = size_of::<usize>();

/// Offsets of the fields, for the word size of this machine: a file of another word size cannot be loaded.
const FILE_SECTIONS: usize = if WORD == 8 { 0x28 } else { 0x20 };
const FILE_SECTION_SIZE: usize = if WORD == 8 { 0x3a } else { 0x2e };
const SECTION_OFFSET: usize = if WORD == 8 { 24 } else { 16 };
const SECTION_LINK: usize = SECTION_OFFSET + 2 * WORD;
const SYMBOL_SIZE: usize = if WORD == 8 { 24 } else { 16 };
const SYMBOL_SECTION: usize = if WORD == 8 { 6 } else { 14 };

/// Reads the dynamic symbols of a file.
///
/// # Errors
/// What is wrong with it, in words.
pub fn symbols(file: &[u8]) -> Result<Symbols<'_>, &'static str> {
    const DAMAGED: &str = "it is damaged or cut off";
    if !file.starts_with(b"\x7fELF") {
        return Err("it is not an ELF file");
    }
    let order = if cfg!(target_endian = "little") { 1 } else { 2 };
    if file.get(4) != Some(&(WORD as u8 / 4)) || file.get(5) != Some(&order) {
        return Err("it was made for another kind of machine");
    }
    if half(file, 16).ok_or(DAMAGED)? != SHARED_OBJECT {
        return Err("it is not a shared object");
    }
    read(file).ok_or(DAMAGED)
}

fn read(file: &[u8]) -> Option<Symbols<'_>> {
    let sections = word(file, FILE_SECTIONS)?;
    let size = usize::from(half(file, FILE_SECTION_SIZE)?);
    let count = usize::from(half(file, FILE_SECTION_SIZE + 2)?);
    let section = |index: usize| file.get(sections.checked_add(index.checked_mul(size)?)?..);
    let content = |section: &[u8]| {
        let (offset, length) = (word(section, SECTION_OFFSET)?, word(section, SECTION_OFFSET + WORD)?);
        file.get(offset..offset.checked_add(length)?)
    };
    let mut found = Symbols { defined: Vec::new(), imported: Vec::new() };
    for index in 0..count {
        let header = section(index)?;
        if word32(header, 4)? != DYNAMIC_SYMBOLS {
            continue;
        }
        // There is at most one such section. Many sections with the same content could use unlimited memory.
        let names = content(section(word32(header, SECTION_LINK)? as usize)?)?;
        for symbol in content(header)?.chunks_exact(SYMBOL_SIZE) {
            let name = names.get(word32(symbol, 0)? as usize..)?.split(|b| *b == 0).next()?;
            let list = if half(symbol, SYMBOL_SECTION)? == 0 { &mut found.imported } else { &mut found.defined };
            list.push(name);
        }
        break;
    }
    Some(found)
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn word32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from_ne_bytes(bytes.get(at..at.checked_add(WORD)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shared object that every build has: the C library.
    fn object() -> Vec<u8> {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let path = maps.lines().filter_map(|line| line.split_whitespace().nth(5)).find(|p| p.contains("libc.so"));
        std::fs::read(path.unwrap()).unwrap()
    }

    #[test]
    fn the_c_library_defines_and_imports() {
        let file = object();
        let symbols = symbols(&file).unwrap();
        assert!(symbols.defined.contains(&&b"getaddrinfo"[..]));
        assert!(symbols.imported.contains(&&b"_rtld_global"[..]));
        assert!(!symbols.imported.contains(&&b"getaddrinfo"[..]));
    }

    /// All sections at the same place: each is the symbol table.
    #[test]
    fn a_table_that_is_named_many_times_is_read_once() {
        let mut file = object();
        let once = symbols(&file).map(|found| found.defined.len() + found.imported.len()).unwrap();
        let (sections, size) = (word(&file, FILE_SECTIONS).unwrap(), half(&file, FILE_SECTION_SIZE).unwrap());
        let headers = (0..200).map(|index| sections + index * usize::from(size));
        let table = headers.into_iter().find(|at| word32(&file, at + 4) == Some(DYNAMIC_SYMBOLS)).unwrap();
        file[FILE_SECTIONS..][..WORD].copy_from_slice(&table.to_ne_bytes());
        file[FILE_SECTION_SIZE..][..4].copy_from_slice(&[0, 0, 0xff, 0xff]);
        let often = symbols(&file).map_or(0, |found| found.defined.len() + found.imported.len());
        assert!(often <= once, "{often} symbols, and {once} are there");
    }

    #[test]
    fn what_is_no_shared_object_is_told_apart() {
        assert_eq!(symbols(b"#!/bin/sh\n").unwrap_err(), "it is not an ELF file");
        assert_eq!(symbols(b"").unwrap_err(), "it is not an ELF file");
        let mut file = object();
        file[4] ^= 3;
        assert_eq!(symbols(&file).unwrap_err(), "it was made for another kind of machine");
        file[4] ^= 3;
        file[16] = 1;
        assert_eq!(symbols(&file).unwrap_err(), "it is not a shared object");
    }

    #[test]
    fn no_damage_makes_it_panic() {
        let mut file = object();
        let sections = word(&file, FILE_SECTIONS).unwrap();
        for length in (0..200).chain([sections, sections + 100, file.len() - 1]) {
            let _ = symbols(&file[..length]);
        }
        // Each byte of the file's header and of the first section headers, all ones.
        for at in (4..64).chain(sections..(sections + 64 * 8).min(file.len())) {
            let kept = std::mem::replace(&mut file[at], 0xff);
            let _ = symbols(&file);
            file[at] = kept;
        }
    }
}
