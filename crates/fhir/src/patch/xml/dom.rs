//! An XML document that can be changed: all of it, comments and processing instructions too.

use crate::xml::{Bounds, FHIR, Token, Tokens, XHTML, XML, XmlError, push_attribute, push_text};
use base::limits::fixed::XML_PATCH_DEPTH_MAX;

/// The document, above the root element.
pub(super) const ROOT: usize = 0;

/// An attribute.
#[derive(Clone, Debug)]
pub(super) struct Attribute {
    pub(super) prefix: String,
    pub(super) local: String,
    pub(super) space: String,
    pub(super) value: String,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(super) enum Data {
    Document,
    Element(Element),
    Text(String),
    Comment(String),
    Instruction(String),
}

#[derive(Clone, Debug)]
pub(super) struct Element {
    pub(super) prefix: String,
    pub(super) local: String,
    pub(super) space: String,
    pub(super) attributes: Vec<Attribute>,
    /// Prefixes and what they mean from here on.
    pub(super) declares: Vec<(String, String)>,
}

impl Data {
    /// Whether both are nodes of one kind.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

#[derive(Clone, Debug)]
struct Node {
    parent: usize,
    children: Vec<usize>,
    data: Data,
}

/// A document.
#[derive(Clone, Debug)]
pub(super) struct Dom {
    nodes: Vec<Node>,
}

impl Dom {
    pub(super) fn parse(text: &str, bounds: &Bounds) -> Result<Self, XmlError> {
        let mut tokens = Tokens::of(text, bounds)?;
        let mut dom = Self { nodes: Vec::new() };
        let mut at = dom.make(ROOT, Data::Document);
        loop {
            match tokens.next()? {
                Token::Start(start) => {
                    let own = str::to_owned;
                    let attribute = |a: &crate::xml::Attribute<'_>| Attribute {
                        prefix: own(a.name.prefix),
                        local: own(a.name.local),
                        space: a.name.space.clone().into_owned(),
                        value: a.value.clone().into_owned(),
                    };
                    let declares = start.declares.iter();
                    let element = Element {
                        prefix: own(start.name.prefix),
                        local: own(start.name.local),
                        space: start.name.space.clone().into_owned(),
                        attributes: start.attributes.iter().map(attribute).collect(),
                        declares: declares
                            .map(|(p, u)| (own(p), u.clone().into_owned()))
                            .collect(),
                    };
                    at = dom.append(at, Data::Element(element));
                }
                Token::End => at = dom.parent(at),
                Token::Text(text) => dom.append_text(at, &text),
                // The declaration, and nothing else, stands before everything.
                Token::Comment(_) if tokens.range().start == 0 && text.starts_with("<?xml") => {}
                Token::Comment(text) => {
                    dom.append(at, Data::Comment(text.to_owned()));
                }
                Token::Instruction(text) => {
                    dom.append(at, Data::Instruction(text.to_owned()));
                }
                Token::Done => return Ok(dom),
            }
        }
    }

    fn make(&mut self, parent: usize, data: Data) -> usize {
        self.nodes.push(Node {
            parent,
            children: Vec::new(),
            data,
        });
        self.nodes.len() - 1
    }

    fn append(&mut self, parent: usize, data: Data) -> usize {
        let made = self.make(parent, data);
        if let Some(node) = self.nodes.get_mut(parent) {
            node.children.push(made);
        }
        made
    }

    /// Adjacent pieces of text are one node.
    fn append_text(&mut self, parent: usize, text: &str) {
        let last = self.children(parent).last().copied();
        if let Some(Data::Text(before)) = last.and_then(|n| self.data_mut(n)) {
            before.push_str(text);
        } else if parent != ROOT {
            self.append(parent, Data::Text(text.to_owned()));
        }
    }

    fn parent(&self, node: usize) -> usize {
        self.nodes.get(node).map_or(ROOT, |n| n.parent)
    }

    pub(super) fn children(&self, node: usize) -> &[usize] {
        self.nodes.get(node).map_or(&[], |n| &n.children)
    }

    pub(super) fn data(&self, node: usize) -> &Data {
        self.nodes.get(node).map_or(&Data::Document, |n| &n.data)
    }

    fn data_mut(&mut self, node: usize) -> Option<&mut Data> {
        self.nodes.get_mut(node).map(|n| &mut n.data)
    }

    pub(super) fn element(&self, node: usize) -> Option<&Element> {
        match self.data(node) {
            Data::Element(element) => Some(element),
            _ => None,
        }
    }

    fn element_mut(&mut self, node: usize) -> Option<&mut Element> {
        match self.data_mut(node) {
            Some(Data::Element(element)) => Some(element),
            _ => None,
        }
    }

    pub(super) fn is_element(&self, node: usize) -> bool {
        self.element(node).is_some()
    }

    /// Whether it is text of white space only.
    pub(super) fn is_blank(&self, node: usize) -> bool {
        let blank = |text: &str| text.trim_matches(crate::xml::is_space).is_empty();
        matches!(self.data(node), Data::Text(text) if blank(text))
    }

    /// The root element.
    pub(super) fn root(&self) -> Option<usize> {
        self.children(ROOT)
            .iter()
            .copied()
            .find(|n| self.is_element(*n))
    }

    pub(super) fn local(&self, node: usize) -> &str {
        self.element(node).map_or("", |e| &e.local)
    }

    /// An attribute without a namespace.
    pub(super) fn attribute(&self, node: usize, name: &str) -> Option<&str> {
        let is = |a: &&Attribute| a.space.is_empty() && a.local == name;
        self.element(node)?
            .attributes
            .iter()
            .find(is)
            .map(|a| a.value.as_str())
    }

    /// All text in a node.
    pub(super) fn text(&self, node: usize) -> String {
        let mut text = String::new();
        let mut open = vec![node];
        while let Some(at) = open.pop() {
            if let Data::Text(piece) = self.data(at) {
                text.push_str(piece);
            }
            open.extend(self.children(at).iter().rev());
        }
        text
    }

    /// What a prefix means at a node, with what it means where nothing is declared.
    pub(super) fn space_of(&self, node: usize, prefix: &str) -> Option<String> {
        let mut at = node;
        loop {
            if let Some(element) = self.element(at) {
                let mut declares = element.declares.iter();
                if let Some((_, uri)) = declares.find(|(p, _)| p == prefix) {
                    return Some(uri.clone());
                }
            }
            if at == ROOT {
                break;
            }
            at = self.parent(at);
        }
        match prefix {
            "" | "f" => Some(FHIR.to_owned()),
            "h" | "xhtml" => Some(XHTML.to_owned()),
            "xml" => Some(XML.to_owned()),
            _ => None,
        }
    }

    /// Bytes of content of a node, about.
    pub(super) fn size(&self, node: usize) -> usize {
        let mut size = 0;
        let mut open = vec![node];
        while let Some(at) = open.pop() {
            size += match self.data(at) {
                Data::Document => 0,
                Data::Text(text) | Data::Comment(text) | Data::Instruction(text) => text.len() + 7,
                Data::Element(e) => {
                    let attributes = e.attributes.iter();
                    let attributes = attributes.map(|a| a.local.len() + a.value.len() + 4);
                    2 * e.local.len() + 5 + attributes.sum::<usize>()
                }
            };
            open.extend(self.children(at));
        }
        size
    }

    /// The parent of a node and its place there.
    pub(super) fn place_of(&self, node: usize) -> (usize, usize) {
        let parent = self.parent(node);
        let index = self.children(parent).iter().position(|n| *n == node);
        (parent, index.unwrap_or(0))
    }

    pub(super) fn remove(&mut self, node: usize) {
        let parent = self.parent(node);
        if let Some(parent) = self.nodes.get_mut(parent) {
            parent.children.retain(|n| *n != node);
        }
        self.join_texts(parent);
    }

    /// Puts copies of nodes of another document among the children of a node.
    ///
    /// # Errors
    /// They would be nested too deep there: what reads the document afterwards recurses.
    pub(super) fn insert(
        &mut self,
        parent: usize,
        index: usize,
        other: &Self,
        nodes: &[usize],
    ) -> Result<(), &'static str> {
        let height = nodes.iter().map(|n| other.height(*n)).max().unwrap_or(0);
        if self.level(parent) + height > XML_PATCH_DEPTH_MAX {
            return Err("the patched document is nested too deep");
        }
        let copies: Vec<usize> = nodes.iter().map(|n| self.copy(parent, other, *n)).collect();
        if let Some(parent) = self.nodes.get_mut(parent) {
            let index = index.min(parent.children.len());
            parent.children.splice(index..index, copies);
        }
        self.join_texts(parent);
        Ok(())
    }

    /// Elements from the root down to a node.
    fn level(&self, mut node: usize) -> usize {
        let mut level = 0;
        while node != ROOT && level <= XML_PATCH_DEPTH_MAX {
            node = self.parent(node);
            level += 1;
        }
        level
    }

    /// Levels of a node and what is under it; a patch was read with a bound on them.
    fn height(&self, node: usize) -> usize {
        let below = self.children(node).iter().map(|c| self.height(*c)).max();
        1 + below.unwrap_or(0)
    }

    fn copy(&mut self, parent: usize, other: &Self, node: usize) -> usize {
        let mut data = other.data(node).clone();
        if let Data::Element(element) = &mut data
            && element.space.is_empty()
        {
            FHIR.clone_into(&mut element.space);
            element.declares.retain(|(prefix, _)| !prefix.is_empty());
        }
        let made = self.make(parent, data);
        let children = other.children(node).to_vec();
        let children: Vec<usize> = children
            .into_iter()
            .map(|child| self.copy(made, other, child))
            .collect();
        if let Some(node) = self.nodes.get_mut(made) {
            node.children = children;
        }
        made
    }

    /// Texts that came to stand side by side are one.
    fn join_texts(&mut self, parent: usize) {
        let children = self.children(parent).to_vec();
        let mut kept: Vec<usize> = Vec::with_capacity(children.len());
        for child in children {
            let text = match self.data(child) {
                Data::Text(text) => Some(text.clone()),
                _ => None,
            };
            let before = kept.last().copied().and_then(|n| self.data_mut(n));
            match (before, text) {
                (Some(Data::Text(before)), Some(text)) => before.push_str(&text),
                _ => kept.push(child),
            }
        }
        if let Some(parent) = self.nodes.get_mut(parent) {
            parent.children = kept;
        }
    }

    pub(super) fn set_attribute(&mut self, node: usize, index: usize, value: String) {
        let element = self.element_mut(node);
        if let Some(attribute) = element.and_then(|e| e.attributes.get_mut(index)) {
            attribute.value = value;
        }
    }

    pub(super) fn remove_attribute(&mut self, node: usize, index: usize) {
        if let Some(element) = self
            .element_mut(node)
            .filter(|e| index < e.attributes.len())
        {
            element.attributes.remove(index);
        }
    }

    /// Whether there was none of the name.
    pub(super) fn add_attribute(
        &mut self,
        node: usize,
        prefix: &str,
        local: &str,
        space: &str,
        value: String,
    ) -> bool {
        let Some(element) = self.element_mut(node) else {
            return false;
        };
        if element
            .attributes
            .iter()
            .any(|a| a.local == local && a.space == space)
        {
            return false;
        }
        element.attributes.push(Attribute {
            prefix: prefix.to_owned(),
            local: local.to_owned(),
            space: space.to_owned(),
            value,
        });
        true
    }

    pub(super) fn declare(
        &mut self,
        node: usize,
        prefix: &str,
        uri: &str,
    ) -> Result<(), &'static str> {
        let Some(element) = self.element_mut(node) else {
            return Err("namespaces are declared on elements");
        };
        let taken = element.declares.iter().any(|(p, _)| p == prefix);
        if taken || uri.is_empty() || prefix.starts_with("xml") {
            return Err("the prefix cannot be declared");
        }
        element.declares.push((prefix.to_owned(), uri.to_owned()));
        Ok(())
    }

    pub(super) fn undeclare(&mut self, node: usize, prefix: &str) {
        if let Some(element) = self.element_mut(node) {
            element.declares.retain(|(p, _)| p != prefix);
        }
    }

    /// The text of the document.
    pub(super) fn write(&self) -> String {
        let mut out = String::new();
        let mut scope = vec![
            ("xml".to_owned(), XML.to_owned()),
            (String::new(), String::new()),
        ];
        for child in self.children(ROOT) {
            self.write_node(*child, &mut scope, &mut out);
        }
        out
    }

    fn write_node(&self, node: usize, scope: &mut Vec<(String, String)>, out: &mut String) {
        match self.data(node) {
            Data::Document => {}
            Data::Text(text) => push_text(text, out),
            Data::Comment(text) => {
                out.push_str("<!--");
                out.push_str(text);
                out.push_str("-->");
            }
            Data::Instruction(text) => {
                out.push_str("<?");
                out.push_str(text);
                out.push_str("?>");
            }
            Data::Element(element) => {
                let before = scope.len();
                let name = qualified(&element.prefix, &element.local);
                out.push('<');
                out.push_str(&name);
                for (prefix, uri) in &element.declares {
                    declare(prefix, uri, scope, out);
                }
                need(&element.prefix, &element.space, scope, out);
                for attribute in &element.attributes {
                    if !attribute.prefix.is_empty() {
                        need(&attribute.prefix, &attribute.space, scope, out);
                    }
                }
                for a in &element.attributes {
                    push_attribute(&qualified(&a.prefix, &a.local), &a.value, out);
                }
                if self.children(node).is_empty() {
                    out.push_str("/>");
                } else {
                    out.push('>');
                    for child in self.children(node) {
                        self.write_node(*child, scope, out);
                    }
                    out.push_str("</");
                    out.push_str(&name);
                    out.push('>');
                }
                scope.truncate(before);
            }
        }
    }
}

fn qualified(prefix: &str, local: &str) -> String {
    match prefix {
        "" => local.to_owned(),
        _ => format!("{prefix}:{local}"),
    }
}

fn declare(prefix: &str, uri: &str, scope: &mut Vec<(String, String)>, out: &mut String) {
    match prefix {
        "" => push_attribute("xmlns", uri, out),
        _ => push_attribute(&format!("xmlns:{prefix}"), uri, out),
    }
    scope.push((prefix.to_owned(), uri.to_owned()));
}

/// Declares a prefix where it does not mean this already.
fn need(prefix: &str, uri: &str, scope: &mut Vec<(String, String)>, out: &mut String) {
    let known = scope
        .iter()
        .rev()
        .find(|(p, _)| p == prefix)
        .map(|(_, u)| u.as_str());
    if known != Some(uri) {
        declare(prefix, uri, scope, out);
    }
}
