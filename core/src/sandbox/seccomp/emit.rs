//! A program written from its end to its start, so that every jump goes to what is there already.

/// One `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    /// What it does.
    pub(super) code: u16,
    /// How many instructions are passed over when a comparison holds.
    pub(super) jt: u8,
    /// And when it does not.
    pub(super) jf: u8,
    /// Its number.
    pub(super) k: u32,
}

/// Load a word of `struct seccomp_data`.
pub(super) const LOAD: u16 = 0x20;
/// Go on `k` instructions further.
pub(super) const JUMP: u16 = 0x05;
/// Is the loaded word `k`?
pub(super) const JUMP_EQ: u16 = 0x15;
/// Is it above `k`?
pub(super) const JUMP_GT: u16 = 0x25;
/// Is it `k` or above?
pub(super) const JUMP_GE: u16 = 0x35;
/// Keep the bits that `k` has.
pub(super) const AND: u16 = 0x54;
/// End with `k`.
pub(super) const RETURN: u16 = 0x06;
/// The kernel takes no longer program.
pub(super) const MAX_LENGTH: usize = 4096;

/// A place in a program, counted from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(usize);

/// A program in the making, its last instruction first.
#[derive(Default)]
pub(super) struct Program {
    reversed: Vec<Instruction>,
}

impl Program {
    fn push(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> Label {
        self.reversed.push(Instruction { code, jt, jf, k });
        Label(self.reversed.len() - 1)
    }

    /// How many instructions lie between the next one and the label.
    fn distance(&self, label: Label) -> usize {
        self.reversed.len() - 1 - label.0
    }

    /// Makes what is written next run on into `label`.
    fn run_on(&mut self, label: Label) {
        let distance = self.distance(label);
        if distance > 0 {
            // MAX_LENGTH is far below
            self.push(JUMP, 0, 0, u32::try_from(distance).unwrap_or(u32::MAX));
        }
    }

    /// Ends with this value; one that is near serves again.
    pub(super) fn ret(&mut self, value: u32) -> Label {
        let near = self.reversed.len().saturating_sub(200)..self.reversed.len();
        let again = near.rev().find(|&i| self.reversed[i].code == RETURN && self.reversed[i].k == value);
        again.map_or_else(|| self.push(RETURN, 0, 0, value), Label)
    }

    /// Loads a word, then goes on at `next`.
    pub(super) fn load(&mut self, offset: u32, next: Label) -> Label {
        self.run_on(next);
        self.push(LOAD, 0, 0, offset)
    }

    /// Keeps some bits of the loaded word, then goes on at `next`.
    pub(super) fn and(&mut self, mask: u32, next: Label) -> Label {
        self.run_on(next);
        self.push(AND, 0, 0, mask)
    }

    /// Goes to `yes` if the loaded word is `k`, else to `no`.
    pub(super) fn jump_eq(&mut self, k: u32, yes: Label, no: Label) -> Label {
        self.branch(JUMP_EQ, k, yes, no)
    }

    /// Goes to `yes` if the loaded word is above `k`, else to `no`.
    pub(super) fn jump_gt(&mut self, k: u32, yes: Label, no: Label) -> Label {
        self.branch(JUMP_GT, k, yes, no)
    }

    /// Goes to `yes` if the loaded word is `k` or above, else to `no`.
    pub(super) fn jump_ge(&mut self, k: u32, yes: Label, no: Label) -> Label {
        self.branch(JUMP_GE, k, yes, no)
    }

    /// A comparison reaches 255 instructions far; what is farther is reached through a plain jump beside it.
    fn branch(&mut self, code: u16, k: u32, mut yes: Label, mut no: Label) -> Label {
        if yes == no {
            return yes;
        }
        // one plain jump moves everything by one, so ask with room for both
        let far = |program: &Program, label| program.distance(label) > 253;
        if far(self, no) {
            self.run_on(no);
            no = Label(self.reversed.len() - 1);
        }
        if far(self, yes) {
            self.run_on(yes);
            yes = Label(self.reversed.len() - 1);
        }
        let (jt, jf) = (self.distance(yes), self.distance(no));
        self.push(code, jt as u8, jf as u8, k)
    }

    /// The bytes, in native order, or the length if it is too long for the kernel.
    pub(super) fn finish(self) -> Result<Vec<u8>, usize> {
        if self.reversed.len() > MAX_LENGTH {
            return Err(self.reversed.len());
        }
        let mut bytes = Vec::with_capacity(self.reversed.len() * 8);
        for i in self.reversed.iter().rev() {
            bytes.extend_from_slice(&i.code.to_ne_bytes());
            bytes.extend_from_slice(&[i.jt, i.jf]);
            bytes.extend_from_slice(&i.k.to_ne_bytes());
        }
        Ok(bytes)
    }
}
