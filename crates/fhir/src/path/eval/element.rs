//! Functions that FHIR adds: extensions, references, profiles, narrative.

use super::super::EvalError;
use super::super::function::Function;
use super::super::host::Told;
use super::super::item::{Item, Node};
use super::super::plan::{Op, Test};
use super::super::types::Type;
use super::{Frame, Items, Run};
use crate::json::{self, Kind};
use crate::search::value::reference::Target;

/// What the canonical URLs of FHIR's own types begin with.
const DEFINITIONS: &str = "http://hl7.org/fhir/StructureDefinition/";

/// The extensions that say what an answer or a code weighs.
const WEIGHTS: [&str; 2] = [
    "http://hl7.org/fhir/StructureDefinition/itemWeight",
    "http://hl7.org/fhir/StructureDefinition/ordinalValue",
];

impl<'a> Run<'_, 'a> {
    /// Functions of elements.
    pub(super) fn element_function(
        &self,
        function: Function,
        input: Items<'a>,
        args: &'a [Op],
        frame: &Frame<'_, 'a>,
        out: &mut Items<'a>,
    ) -> Result<(), EvalError> {
        use Function as F;
        let nodes = || input.iter().filter_map(Item::node);
        match function {
            F::Extension | F::HasExtension => {
                let url = match args.first() {
                    Some(arg) => self.string(arg, frame)?,
                    None => None,
                };
                let mut found = Items::new();
                for node in nodes() {
                    self.extensions(node, url.as_deref().unwrap_or(""), &mut |x| {
                        found.push(Item::Node(x));
                        Ok(())
                    })?;
                }
                if function == F::HasExtension {
                    out.push(Item::Bool(!found.is_empty()));
                } else {
                    out.extend(found);
                }
            }
            F::HasValue => {
                let has = match input.as_slice() {
                    [Item::Node(node)] => node.ty.is_primitive() && node.value.is_some(),
                    [_] => true,
                    _ => false,
                };
                out.push(Item::Bool(has));
            }
            F::GetValue => {
                if let [item] = input.as_slice()
                    && item.node().is_none_or(|n| n.ty.is_primitive())
                {
                    out.extend(item.system(self.types()));
                }
            }
            F::Resolve => {
                for item in &input {
                    self.step()?;
                    out.extend(self.resolved(item).map(Item::Node));
                }
            }
            F::ConformsTo | F::MemberOf | F::Subsumes | F::SubsumedBy => {
                out.extend(self.judged(function, &input, args, frame)?.map(Item::Bool));
            }
            F::Weight => {
                for node in nodes() {
                    self.step()?;
                    out.extend(self.weight(node)?);
                }
            }
            F::HtmlChecks => {
                // It is read as XML, each byte some times: one step for a few bytes of it.
                for item in &*input {
                    self.steps(item.as_text().map_or(0, |text| text.len() / 16))?;
                }
                out.extend(html_checks(&input)?.map(Item::Bool));
            }
            F::CheckModifiers => {
                let mut known = Vec::with_capacity(args.len());
                for arg in args {
                    known.extend(self.string(arg, frame)?);
                }
                for node in nodes() {
                    self.check_modifiers(node, &known)?;
                }
                out.extend(input);
            }
            _ => {}
        }
        Ok(())
    }

    fn check_modifiers(
        &self,
        node: Node<'a>,
        known: &[std::borrow::Cow<'a, str>],
    ) -> Result<(), EvalError> {
        let found = node.object().and_then(|o| o.get("modifierExtension"));
        for extension in found.into_iter().flat_map(json::Value::items) {
            self.step()?;
            let url = extension.get("url").and_then(json::Value::as_str);
            if !url.as_ref().is_some_and(|u| known.contains(u)) {
                return Err(EvalError::Modifier);
            }
        }
        Ok(())
    }

    /// What only a profile, a value set or a code system tells.
    fn judged(
        &self,
        function: Function,
        input: &Items<'a>,
        args: &'a [Op],
        frame: &Frame<'_, 'a>,
    ) -> Result<Option<bool>, EvalError> {
        let unknown = || EvalError::NotKnown(function.as_str());
        // Several items have no answer.
        let ([item], [arg, ..]) = (input.as_slice(), args) else {
            return match (function, input.len()) {
                (Function::ConformsTo, 2..) => Err(EvalError::NotSingle),
                _ => Ok(None),
            };
        };
        let host = self.env.host;
        let told = match function {
            Function::Subsumes | Function::SubsumedBy => {
                let Some(other) = self.single(arg, frame)? else {
                    return Ok(None);
                };
                match function {
                    Function::Subsumes => host.subsumes(item, &other),
                    _ => host.subsumes(&other, item),
                }
            }
            _ => {
                let Some(url) = self.string(arg, frame)? else {
                    return Ok(None);
                };
                match function {
                    Function::MemberOf => host.member_of(item, &url),
                    _ => self
                        .is_of_definition(item, &url)
                        .or_else(|| host.conforms_to(item, &url))
                        .map_or(Told::Unknown, Told::Is),
                }
            }
        };
        match told {
            Told::Is(answer) => Ok(Some(answer)),
            Told::Nothing => Ok(None),
            Told::Unknown => Err(unknown()),
        }
    }

    /// The weight that an element carries (`fhirpath.html`): in an extension of its own, or of a
    /// coding in it. Weights of code systems are not known here.
    fn weight(&self, node: Node<'a>) -> Result<Option<Item<'a>>, EvalError> {
        let own = |value: json::Value<'a>| -> Option<json::Value<'a>> {
            let mut all = value.get("extension")?.items();
            let weighs = |e: &json::Value<'a>| {
                let url = e.get("url").and_then(json::Value::as_str);
                url.is_some_and(|url| WEIGHTS.contains(&&*url))
            };
            all.find(weighs)?.get("valueDecimal")
        };
        let object = node.object();
        let coded = object.filter(|o| o.get("code").is_some() || o.get("coding").is_some());
        let codings = object.and_then(|o| o.get("coding"));
        let value = object.and_then(|o| {
            let value = ["valueCoding", "value"]
                .into_iter()
                .find_map(|name| o.get(name));
            own(o)
                .or_else(|| {
                    codings
                        .into_iter()
                        .flat_map(json::Value::items)
                        .find_map(own)
                })
                .or_else(|| value.and_then(own))
        });
        match value.and_then(|v| v.raw().parse().ok()) {
            Some(weight) => Ok(Some(Item::Decimal(weight))),
            None if coded.is_some() => Err(EvalError::NotKnown("weight")),
            None => Ok(None),
        }
    }

    /// Whether an item is of the type that a canonical URL defines; `None`: it defines none.
    fn is_of_definition(&self, item: &Item<'a>, url: &str) -> Option<bool> {
        let name = url.split('|').next()?.strip_prefix(DEFINITIONS)?;
        let ty = self.types().by_name(name)?;
        Some(self.types().is_a(item.ty(), ty))
    }

    /// The text of a reference, a canonical or a string.
    fn reference_text(item: &Item<'a>) -> Option<std::borrow::Cow<'a, str>> {
        match item {
            Item::Node(node) if node.value?.kind() == Kind::Object => {
                node.get("reference").and_then(json::Value::as_str)
            }
            item => item.as_text(),
        }
    }

    /// The resource that a reference leads to.
    fn resolved(&self, item: &Item<'a>) -> Option<Node<'a>> {
        let text = Self::reference_text(item)?;
        let root = self.env.root.or(self.env.resource);
        let found = if let Some(id) = text.strip_prefix('#') {
            let inside = |holder: Option<Node<'a>>| contained(holder?, id);
            // The container of a contained resource is `#` alone.
            if id.is_empty() {
                return root;
            }
            inside(self.env.resource).or_else(|| inside(root))
        } else {
            self.in_bundle(root, &text)
                .or_else(|| self.env.host.resolve(&text))
        }?;
        let ty = self.types().of_resource(found)?;
        Some(Node::new(found, ty))
    }

    /// An entry of a Bundle, by its full URL or by what that ends in.
    fn in_bundle(&self, root: Option<Node<'a>>, text: &str) -> Option<json::Value<'a>> {
        let root = root?;
        let is_bundle = root.get("resourceType").and_then(json::Value::as_str);
        if is_bundle.as_deref() != Some("Bundle") {
            return None;
        }
        let is = |entry: &json::Value<'a>| {
            let url = entry.get("fullUrl").and_then(json::Value::as_str);
            url.is_some_and(|url| {
                *url == *text
                    || url
                        .strip_suffix(text)
                        .is_some_and(|before| before.ends_with('/'))
            })
        };
        let mut entries = root.get("entry")?.items();
        entries.find(is)?.get("resource")
    }

    pub(super) fn resolves_to(&self, item: &Item<'a>, test: Test) -> Result<bool, EvalError> {
        self.step()?;
        if let Some(ty) = self.target(item) {
            return Ok(test_type(test, ty, self));
        }
        let found = self.resolved(item);
        Ok(found.is_some_and(|node| test.holds(&Item::Node(node), self.types())))
    }

    /// The type that a reference points to, if its text or its `type` says so.
    fn target(&self, item: &Item<'a>) -> Option<Type> {
        let model = self.types().model();
        let Some(node) = item.node().filter(|n| !n.ty.is_primitive()) else {
            let text = item.as_text()?;
            return self
                .types()
                .resource(Target::read(&text, model, &[]).type_id(model)?);
        };
        if let Some(text) = node.get("reference").and_then(json::Value::as_str) {
            let reference = Target::read(&text, model, &[]);
            if let Target::Contained(id) = reference {
                let found = contained(self.env.resource?, id)?;
                return self.types().of_resource(found);
            }
            if let Some(found) = reference.type_id(model) {
                return self.types().resource(found);
            }
        }
        let named = node.get("type").and_then(json::Value::as_str)?;
        self.types().by_name(named.rsplit('/').next()?)
    }
}

fn test_type(test: Test, ty: Type, run: &Run<'_, '_>) -> bool {
    match test {
        Test::Fhir(wanted, _) | Test::Either(wanted, _) => run.types().is_a(ty, wanted),
        Test::System(_) | Test::Never => false,
    }
}

fn contained<'a>(holder: Node<'a>, id: &str) -> Option<json::Value<'a>> {
    holder.get("contained")?.items().find(|r| {
        r.get("id")
            .and_then(json::Value::as_str)
            .is_some_and(|i| i == id)
    })
}

/// Whether a narrative, or a piece of one, obeys the rules of XHTML in FHIR (`narrative.html#xhtml`);
/// nothing for what is no text.
fn html_checks(input: &Items<'_>) -> Result<Option<bool>, EvalError> {
    match input.as_slice() {
        [] => Ok(None),
        [item] => {
            let text = item.as_text().filter(|_| {
                use crate::definitions::Primitive as P;
                let of_element = item.node().and_then(|n| n.ty.as_primitive());
                item.node().is_none()
                    || matches!(of_element, Some(P::Xhtml | P::String | P::Markdown))
            });
            let of_narrative =
                item.ty().as_primitive() == Some(crate::definitions::Primitive::Xhtml);
            Ok(text.map(|text| {
                let whole = of_narrative || text.trim_start().starts_with("<div");
                if whole {
                    crate::validate::is_narrative(&text)
                } else {
                    crate::validate::is_narrative(&format!(
                        "<div xmlns=\"http://www.w3.org/1999/xhtml\">{text}</div>"
                    ))
                }
            }))
        }
        _ => Err(EvalError::NotSingle),
    }
}
