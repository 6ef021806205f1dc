//! Korean text as patterns see it: normalised, without spaces, in jamo, so that stems match their endings.
mod pattern;
mod text;

pub use pattern::Pattern;
pub use text::Text;
