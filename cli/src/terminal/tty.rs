//! The terminal of this program.

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::{IsTerminal, stderr, stdin, stdout};

/// Rows and columns of the terminal, if there is one.
pub fn window_size() -> Option<(u16, u16)> {
    let size = [tcgetwinsize(stdout()), tcgetwinsize(stdin()), tcgetwinsize(stderr())];
    size.into_iter().flatten().map(|s| (s.ws_row, s.ws_col)).find(|s| s.0 > 0 && s.1 > 0)
}

/// Whether standard input is a terminal.
pub fn stdin_is_terminal() -> bool {
    stdin().is_terminal()
}

/// Raw mode of standard input; dropping it puts the terminal back as it was.
pub struct RawMode(Termios);

impl RawMode {
    /// Switches raw mode on; `None` when standard input is no terminal.
    pub fn enter() -> Option<RawMode> {
        let before = tcgetattr(stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw).ok()?;
        Some(RawMode(before))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}
