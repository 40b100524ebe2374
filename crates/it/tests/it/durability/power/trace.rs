//! What `strace` saw, as deeds on the files of one folder, in the order of its lines.

use std::collections::BTreeMap;
use std::path::Path;

/// A file, whatever its name is at the moment.
pub(super) type FileId = usize;

/// A folder, likewise; 0 is the one that matters.
pub(super) type FolderId = usize;

/// A name in a folder.
pub(super) type Place = (FolderId, String);

/// What has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    File(FileId),
    Folder(FolderId),
}

/// One thing done.
#[derive(Debug)]
pub(super) enum Deed {
    Make {
        place: Place,
        what: Named,
    },
    Rename {
        from: Place,
        to: Place,
    },
    Unlink {
        place: Place,
    },
    Write {
        file: FileId,
        at: usize,
        bytes: Vec<u8>,
    },
    /// Cut or grown to this length.
    Length {
        file: FileId,
        length: usize,
    },
    /// Grown to at least this length.
    Grow {
        file: FileId,
        length: usize,
    },
    Sync {
        what: Named,
    },
    /// Bytes sent to a client.
    Answer {
        text: String,
    },
}

/// A deed with the lines of its call and its return.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) deed: Deed,
}

/// A whole record.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) deeds: Vec<Done>,
    pub(super) lines: usize,
    /// How many files there ever were.
    pub(super) files: usize,
}

impl Trace {
    /// Reads a record; `folder` is the one that matters.
    pub(super) fn read(text: &str, folder: &Path) -> Self {
        let folder = format!("{}/", folder.to_str().expect("UTF-8"));
        let mut reader = Reader {
            folder,
            ..Reader::default()
        };
        let mut unfinished: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
        let mut lines = 0;
        let mut calls: Vec<(usize, usize, String)> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            lines = number + 1;
            let Some((thread, call)) = line.trim_start().split_once(' ') else {
                continue;
            };
            let call = call.trim_start();
            if let Some(begin) = call.strip_suffix(" <unfinished ...>") {
                unfinished.insert(thread, (number, begin));
            } else if let Some(resumed) = call.strip_prefix("<... ") {
                let Some((start, begin)) = unfinished.remove(thread) else {
                    continue;
                };
                let rest = resumed.split_once(" resumed>").expect("a resumed call").1;
                calls.push((start, number, format!("{begin}{rest}")));
            } else {
                calls.push((number, number, call.to_owned()));
            }
        }
        // Calls that never returned may have happened as well.
        for (start, begin) in unfinished.into_values() {
            calls.push((start, usize::MAX, format!("{begin}) = 0")));
        }
        calls.sort_by_key(|(start, _, _)| *start);
        for (start, end, call) in &calls {
            reader.call(*start, *end, &readable(call));
        }
        Self {
            deeds: reader.deeds,
            lines,
            files: reader.files,
        }
    }

    /// Answers that were sent, with their lines.
    pub(super) fn answers(&self) -> impl Iterator<Item = (usize, &str)> {
        self.deeds.iter().filter_map(|done| match &done.deed {
            Deed::Answer { text } => Some((done.start, text.as_str())),
            _ => None,
        })
    }
}

#[derive(Default)]
struct Reader {
    folder: String,
    deeds: Vec<Done>,
    files: usize,
    folders: usize,
    /// Names as the running server sees them.
    names: BTreeMap<Place, Named>,
    /// Where the next `write` of a descriptor goes; `None`: to the end.
    positions: BTreeMap<String, Option<usize>>,
    /// Contents as the running server sees them, for copies and appends.
    contents: Vec<Vec<u8>>,
}

impl Reader {
    fn call(&mut self, start: usize, end: usize, call: &str) {
        let Some((name, rest)) = call.split_once('(') else {
            return;
        };
        let Some((arguments, result)) = rest.rsplit_once(" = ") else {
            return;
        };
        if result.starts_with('-') || result.starts_with('?') {
            return;
        }
        let arguments = arguments.trim_end().trim_end_matches(')');
        for deed in self.deed(name, arguments, result) {
            self.apply(&deed);
            self.deeds.push(Done { start, end, deed });
        }
    }

    /// Keeps names and contents as the running server sees them.
    fn apply(&mut self, deed: &Deed) {
        match deed {
            Deed::Make { place, what } => {
                self.names.insert(place.clone(), *what);
            }
            Deed::Rename { from, to } => {
                if let Some(what) = self.names.remove(from) {
                    self.names.insert(to.clone(), what);
                }
            }
            Deed::Unlink { place } => {
                self.names.remove(place);
            }
            Deed::Write { file, at, bytes } => write(&mut self.contents[*file], *at, bytes),
            Deed::Length { file, length } => self.contents[*file].resize(*length, 0),
            Deed::Grow { file, length } => {
                let content = &mut self.contents[*file];
                content.resize(content.len().max(*length), 0);
            }
            _ => {}
        }
    }

    fn deed(&mut self, name: &str, arguments: &str, result: &str) -> Vec<Deed> {
        let parts = split(arguments);
        let part = |at: usize| parts.get(at).map_or("", |part| part.trim());
        let number = |at: usize| {
            part(at)
                .parse::<usize>()
                .unwrap_or_else(|_| panic!("{name}({arguments})"))
        };
        match name {
            "openat" | "open" | "creat" => self.open(&parts, result),
            "mkdir" => self.make_folder(&text(part(0))),
            "mkdirat" => self.make_folder(&at(part(0), part(1))),
            "rename" => self.rename(&text(part(0)), &text(part(1))),
            "renameat" | "renameat2" => self.rename(&at(part(0), part(1)), &at(part(2), part(3))),
            "unlink" | "rmdir" => self.unlink(&text(part(0))),
            "unlinkat" => self.unlink(&at(part(0), part(1))),
            "write" | "writev" | "sendto" | "sendmsg" if is_socket(part(0)) => {
                let bytes = texts(arguments);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                vec![Deed::Answer { text }]
            }
            "write" | "writev" => self.write(part(0), texts(arguments)),
            "pwrite64" | "pwritev" => {
                let Some(file) = self.file(part(0)) else {
                    return Vec::new();
                };
                let place = parts
                    .last()
                    .expect("an offset")
                    .trim()
                    .parse()
                    .expect("an offset");
                vec![Deed::Write {
                    file,
                    at: place,
                    bytes: texts(arguments),
                }]
            }
            "ftruncate" => {
                let file = self.file(part(0));
                file.map(|file| Deed::Length {
                    file,
                    length: number(1),
                })
                .into_iter()
                .collect()
            }
            "fallocate" => {
                let Some(file) = self.file(part(0)) else {
                    return Vec::new();
                };
                assert!(
                    matches!(part(1), "0"),
                    "a mode of fallocate that is not followed: {arguments}"
                );
                vec![Deed::Grow {
                    file,
                    length: number(2) + number(3),
                }]
            }
            "fsync" | "fdatasync" => self.sync(part(0)),
            "copy_file_range" | "sendfile" => self.copy(name, &parts, result),
            "lseek" => {
                if let Some(position) = self.positions.get_mut(part(0))
                    && position.is_some()
                {
                    *position = Some(result.parse().expect("a position"));
                }
                Vec::new()
            }
            "mmap" => {
                let shared = part(3).contains("MAP_SHARED") && part(2).contains("PROT_WRITE");
                let file = inside(part(4)).unwrap_or_default();
                let known = file.ends_with("-shm") || self.place(file).is_none();
                assert!(
                    !shared || known,
                    "a file is written through memory: {arguments}"
                );
                Vec::new()
            }
            "link" | "linkat" | "io_uring_enter" | "msync" => {
                panic!("{name} is not followed: {arguments}")
            }
            _ => Vec::new(),
        }
    }

    /// The place of a path below the folder that matters, if all folders on the way are known.
    fn place(&self, path: &str) -> Option<Place> {
        let path = path.strip_prefix(&self.folder)?.trim_end_matches('/');
        let mut parts: Vec<&str> = path.split('/').collect();
        let name = parts.pop()?;
        let mut folder = 0;
        for part in parts {
            match self.names.get(&(folder, part.to_owned()))? {
                Named::Folder(next) => folder = *next,
                Named::File(_) => return None,
            }
        }
        Some((folder, name.to_owned()))
    }

    /// What a descriptor stands for.
    fn named(&self, descriptor: &str) -> Option<Named> {
        let path = inside(descriptor)?;
        if format!("{path}/") == self.folder {
            return Some(Named::Folder(0));
        }
        self.names.get(&self.place(path)?).copied()
    }

    /// The file behind a descriptor.
    fn file(&self, descriptor: &str) -> Option<FileId> {
        match self.named(descriptor)? {
            Named::File(file) => Some(file),
            Named::Folder(_) => None,
        }
    }

    fn make_folder(&mut self, path: &str) -> Vec<Deed> {
        let Some(place) = self.place(path) else {
            return Vec::new();
        };
        self.folders += 1;
        let what = Named::Folder(self.folders);
        vec![Deed::Make { place, what }]
    }

    fn open(&mut self, parts: &[&str], result: &str) -> Vec<Deed> {
        let Some(place) = inside(result).and_then(|path| self.place(path)) else {
            return Vec::new();
        };
        let flags = parts
            .iter()
            .find(|part| part.contains("O_"))
            .copied()
            .unwrap_or_default();
        let descriptor = result.trim().to_owned();
        let end = flags.contains("O_APPEND");
        self.positions
            .insert(descriptor, if end { None } else { Some(0) });
        if flags.contains("O_DIRECTORY") || flags.contains("O_PATH") {
            return Vec::new();
        }
        match self.names.get(&place) {
            Some(&Named::File(file)) if flags.contains("O_TRUNC") => {
                vec![Deed::Length { file, length: 0 }]
            }
            None if flags.contains("O_CREAT") => {
                let what = Named::File(self.files);
                self.files += 1;
                self.contents.push(Vec::new());
                vec![Deed::Make { place, what }]
            }
            _ => Vec::new(),
        }
    }

    fn write(&mut self, descriptor: &str, bytes: Vec<u8>) -> Vec<Deed> {
        let Some(file) = self.file(descriptor) else {
            return Vec::new();
        };
        let end = self.contents[file].len();
        let at = match self.positions.get_mut(descriptor) {
            Some(Some(position)) => {
                let at = *position;
                *position += bytes.len();
                at
            }
            _ => end,
        };
        vec![Deed::Write { file, at, bytes }]
    }

    fn copy(&mut self, name: &str, parts: &[&str], result: &str) -> Vec<Deed> {
        let (from, to) = if name == "sendfile" { (1, 0) } else { (0, 2) };
        let (from, to) = (parts[from].trim(), parts[to].trim());
        let Some(target) = self.file(to) else {
            return Vec::new();
        };
        let source = self
            .file(from)
            .expect("copied from a file outside the folder");
        let length: usize = result
            .split(' ')
            .next()
            .and_then(|n| n.parse().ok())
            .expect("a length");
        let begin = self.positions.get(from).copied().flatten().unwrap_or(0);
        let bytes = self.contents[source][begin..begin + length].to_vec();
        if let Some(Some(position)) = self.positions.get_mut(from) {
            *position += length;
        }
        self.write(to, bytes)
            .into_iter()
            .filter(|_| target < usize::MAX)
            .collect()
    }

    fn rename(&self, from: &str, to: &str) -> Vec<Deed> {
        match (self.place(from), self.place(to)) {
            (Some(from), Some(to)) => vec![Deed::Rename { from, to }],
            _ => Vec::new(),
        }
    }

    fn unlink(&self, path: &str) -> Vec<Deed> {
        let place = self.place(path);
        place
            .map(|place| Deed::Unlink { place })
            .into_iter()
            .collect()
    }

    fn sync(&self, descriptor: &str) -> Vec<Deed> {
        let what = self.named(descriptor);
        what.map(|what| Deed::Sync { what }).into_iter().collect()
    }
}

/// Writes into a content, with zeros where it was shorter.
pub(super) fn write(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[at..end].copy_from_slice(bytes);
}

/// A call with the paths behind its descriptors readable: `5<\x2f\x64>` becomes `5</d>`.
fn readable(call: &str) -> String {
    let mut out = String::with_capacity(call.len());
    let mut rest = call;
    while let Some(at) = rest.find("<\\x") {
        let end = at + rest[at..].find('>').expect("the end of a path");
        out.push_str(&rest[..=at]);
        out.push_str(&String::from_utf8_lossy(&bytes(&rest[at + 1..end])));
        rest = &rest[end..];
    }
    out + rest
}

/// The bytes that `\x31\x32` stands for.
fn bytes(text: &str) -> Vec<u8> {
    let pairs = text.split("\\x").skip(1);
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).expect("a byte"))
        .collect()
}

/// Arguments of a call: commas outside quotes and brackets separate them.
fn split(arguments: &str) -> Vec<&str> {
    let (mut parts, mut from, mut depth, mut quoted) = (Vec::new(), 0, 0, false);
    for (at, c) in arguments.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '[' | '{' | '(' if !quoted => depth += 1,
            ']' | '}' | ')' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                parts.push(&arguments[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&arguments[from..]);
    parts
}

/// The bytes of all quoted texts of a call.
fn texts(arguments: &str) -> Vec<u8> {
    arguments
        .split('"')
        .skip(1)
        .step_by(2)
        .flat_map(bytes)
        .collect()
}

/// A quoted text.
fn text(argument: &str) -> String {
    String::from_utf8(texts(argument)).expect("UTF-8")
}

/// A path that is relative to a descriptor.
fn at(descriptor: &str, path: &str) -> String {
    let path = text(path);
    if path.starts_with('/') {
        return path;
    }
    format!("{}/{path}", inside(descriptor).unwrap_or_default())
}

/// The path that strace shows with a descriptor: `5</d/a>`.
fn inside(descriptor: &str) -> Option<&str> {
    let path = descriptor.split_once('<')?.1;
    path.trim_end().strip_suffix('>')
}

fn is_socket(descriptor: &str) -> bool {
    inside(descriptor).is_some_and(|name| name.starts_with("socket:") || name.starts_with("TCP"))
}
