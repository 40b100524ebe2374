//! Where in a resource the validator is: a chain of frames on the stack, turned into text only
//! when there is something to say.

use std::fmt::Write;

/// One step from the resource's root.
#[derive(Clone, Copy)]
pub(super) struct Path<'p> {
    up: Option<&'p Path<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Name(&'p str),
    Index(usize),
}

impl<'p> Path<'p> {
    pub(super) const fn root(type_name: &'p str) -> Self {
        Self {
            up: None,
            step: Step::Name(type_name),
        }
    }

    pub(super) const fn name(&'p self, name: &'p str) -> Self {
        Self {
            up: Some(self),
            step: Step::Name(name),
        }
    }

    pub(super) const fn index(&'p self, index: usize) -> Self {
        Self {
            up: Some(self),
            step: Step::Index(index),
        }
    }

    /// `Patient.name[0].given[1]`
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) {
        if let Some(up) = self.up {
            up.write(text);
        }
        match self.step {
            Step::Name(name) => {
                if self.up.is_some() {
                    text.push('.');
                }
                text.push_str(name);
            }
            Step::Index(index) => {
                let _ = write!(text, "[{index}]");
            }
        }
    }
}
