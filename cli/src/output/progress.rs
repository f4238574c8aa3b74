//! Progress of a pull: bars on a terminal, lines elsewhere.

use containers::PullEvent;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex};

/// The bars of one pull, drawn on standard error.
pub struct Bars(Arc<Mutex<Inner>>);

struct Inner {
    draw: MultiProgress,
    bars: HashMap<String, ProgressBar>,
    live: bool,
    fetched: bool,
}

impl Bars {
    /// Nothing is drawn until the first event.
    pub fn new() -> Bars {
        let live = std::io::stderr().is_terminal();
        let draw = MultiProgress::with_draw_target(match live {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        });
        Bars(Arc::new(Mutex::new(Inner { draw, bars: HashMap::new(), live, fetched: false })))
    }

    /// What the library calls.
    pub fn callback(&self) -> Arc<dyn Fn(PullEvent) + Send + Sync> {
        let inner = self.0.clone();
        Arc::new(move |event| inner.lock().unwrap_or_else(|e| e.into_inner()).show(event))
    }

    /// Leaves the finished bars; whether anything was fetched.
    pub fn finish(self) -> bool {
        let inner = self.0.lock().unwrap_or_else(|e| e.into_inner());
        inner.bars.values().filter(|b| !b.is_finished()).for_each(ProgressBar::abandon);
        inner.fetched
    }
}

impl Inner {
    fn show(&mut self, event: PullEvent) {
        match event {
            PullEvent::Exists { layer } => self.end(&layer, "Already exists"),
            PullEvent::Downloading { layer, current, total } => {
                let bar = self.bar(&layer);
                bar.set_length(total);
                bar.set_position(current);
            }
            PullEvent::Extracting { layer } => self.bar(&layer).set_message("Extracting"),
            PullEvent::Done { layer } => self.end(&layer, "Pull complete"),
            PullEvent::Complete { fetched, .. } => self.fetched = fetched,
            _ => {}
        }
    }

    fn bar(&mut self, layer: &str) -> &ProgressBar {
        let draw = &self.draw;
        self.bars.entry(layer.to_string()).or_insert_with(|| {
            let style = ProgressStyle::with_template(
                "{prefix}: {msg:<14} [{bar:30}] {decimal_bytes:>9}/{decimal_total_bytes:<9}",
            );
            let bar = draw.add(ProgressBar::new(0));
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
            bar.set_prefix(short(layer));
            bar.set_message("Downloading");
            bar
        })
    }

    fn end(&mut self, layer: &str, word: &'static str) {
        if !self.live {
            eprintln!("{}: {word}", short(layer));
            return;
        }
        let bar = self.bar(layer);
        bar.set_style(
            ProgressStyle::with_template("{prefix}: {msg}").unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar.finish_with_message(word);
    }
}

/// The first twelve digits of a digest.
fn short(digest: &str) -> String {
    digest.rsplit(':').next().unwrap_or(digest).chars().take(12).collect()
}
