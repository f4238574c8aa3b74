//! The same without async: every wait polls on the caller's thread, also inside somebody else's executor. No
//! thread is started.
//!
//! ```no_run
//! use containers::blocking::Runtime;
//! # fn main() -> containers::Result<()> {
//! let rt = Runtime::open()?;
//! let out = rt.containers().run("host", ["id", "-u"])?;
//! assert_eq!(out.stdout, b"0\n");
//! rt.close()
//! # }
//! ```

pub use crate::executor::block_on;

use crate::{
    ContainerBuilder, ContainerSummary, CreateOptions, ExecOptions, Image, ImageSummary, ImportOptions, Info,
    ListOptions, LoadOptions, LogLine, LogOptions, Output, PullOptions, RemoveOptions, Result, RunOptions,
    RuntimeBuilder, Status, StdioStream, StopOptions,
};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// [`crate::run`].
pub fn run<C, S>(image: impl Into<String>, command: C) -> Result<Output>
where
    C: IntoIterator<Item = S>,
    S: Into<String>,
{
    block_on(crate::run(image, command))
}

/// [`crate::Runtime`].
#[derive(Clone)]
pub struct Runtime(crate::Runtime);

impl Runtime {
    /// Opens the default root.
    pub fn open() -> Result<Runtime> {
        Runtime::open_with(crate::Runtime::builder())
    }

    /// [`RuntimeBuilder::open`].
    pub fn open_with(builder: RuntimeBuilder) -> Result<Runtime> {
        block_on(builder.open()).map(Runtime)
    }

    /// The runtime with async methods; both are the same open root.
    pub fn as_async(&self) -> &crate::Runtime {
        &self.0
    }

    /// [`crate::Runtime::images`].
    pub fn images(&self) -> Images {
        Images(self.0.images())
    }

    /// [`crate::Runtime::containers`].
    pub fn containers(&self) -> Containers {
        Containers(self.0.containers())
    }

    /// [`crate::Runtime::root`].
    pub fn root(&self) -> &Path {
        self.0.root()
    }

    /// [`crate::Runtime::info`].
    pub fn info(&self) -> Result<Info> {
        self.0.info()
    }

    /// [`crate::Runtime::close`].
    pub fn close(&self) -> Result<()> {
        block_on(self.0.close())
    }
}

/// [`crate::Images`].
#[derive(Clone)]
pub struct Images(crate::Images);

impl Images {
    /// [`crate::Images::pull`].
    pub fn pull(&self, reference: &str) -> Result<Image> {
        block_on(self.0.pull(reference))
    }

    /// [`crate::Images::pull_with`].
    pub fn pull_with(&self, reference: &str, options: PullOptions) -> Result<Image> {
        block_on(self.0.pull_with(reference, options))
    }

    /// [`crate::Images::load`].
    pub fn load(&self, path: impl AsRef<Path>, options: LoadOptions) -> Result<Vec<Image>> {
        block_on(self.0.load(path, options))
    }

    /// [`crate::Images::import_`].
    pub fn import_(&self, path: impl AsRef<Path>, options: ImportOptions) -> Result<Image> {
        block_on(self.0.import_(path, options))
    }

    /// [`crate::Images::get`].
    pub fn get(&self, reference: &str) -> Result<Image> {
        self.0.get(reference)
    }

    /// [`crate::Images::list`].
    pub fn list(&self) -> Result<Vec<ImageSummary>> {
        self.0.list()
    }

    /// [`crate::Images::remove`].
    pub fn remove(&self, reference: &str, force: bool) -> Result<()> {
        self.0.remove(reference, force)
    }
}

/// [`crate::Containers`].
#[derive(Clone)]
pub struct Containers(crate::Containers);

impl Containers {
    /// [`crate::Containers::run`].
    pub fn run<C, S>(&self, image: impl Into<String>, command: C) -> Result<Output>
    where
        C: IntoIterator<Item = S>,
        S: Into<String>,
    {
        block_on(self.0.run(image, command))
    }

    /// [`crate::Containers::run_with`].
    pub fn run_with(&self, image: impl Into<String>, options: RunOptions) -> Result<Output> {
        block_on(self.0.run_with(image, options))
    }

    /// [`crate::Containers::run_detached`].
    pub fn run_detached(&self, image: impl Into<String>, options: CreateOptions) -> Result<Container> {
        block_on(self.0.run_detached(image, options)).map(Container)
    }

    /// [`crate::Containers::create`]: set options, then [`create`](ContainerBuilder::create) or
    /// [`start`](ContainerBuilder::start) it.
    pub fn create(&self, image: impl Into<String>) -> ContainerBuilder<CreateOptions, Blocking> {
        ContainerBuilder::new(self.0.clone(), image.into(), CreateOptions::default())
    }

    /// [`crate::Containers::create_with`].
    pub fn create_with(&self, image: impl Into<String>, options: CreateOptions) -> Result<Container> {
        block_on(self.0.create_with(image, options)).map(Container)
    }

    /// [`crate::Containers::get`].
    pub fn get(&self, id_or_name: &str) -> Result<Container> {
        self.0.get(id_or_name).map(Container)
    }

    /// [`crate::Containers::list`].
    pub fn list(&self, options: &ListOptions) -> Result<Vec<ContainerSummary>> {
        self.0.list(options)
    }
}

/// Waits on the caller's thread.
#[derive(Clone, Copy, Debug)]
pub struct Blocking(());

impl ContainerBuilder<CreateOptions, Blocking> {
    /// Creates it; nothing runs yet.
    pub fn create(self) -> Result<Container> {
        block_on(self.containers.create_with(self.image, self.options)).map(Container)
    }

    /// Creates and starts it. One that can't be started is removed again.
    pub fn start(self) -> Result<Container> {
        block_on(self.containers.start_with(self.image, self.options)).map(Container)
    }
}

/// [`crate::Container`].
#[derive(Debug)]
pub struct Container(crate::Container);

impl Container {
    /// [`crate::Container::id`].
    pub fn id(&self) -> &str {
        self.0.id()
    }

    /// [`crate::Container::name`].
    pub fn name(&self) -> String {
        self.0.name()
    }

    /// [`crate::Container::status`].
    pub fn status(&self) -> Result<Status> {
        self.0.status()
    }

    /// [`crate::Container::pid`].
    pub fn pid(&self) -> Result<Option<i32>> {
        self.0.pid()
    }

    /// [`crate::Container::inspect`].
    pub fn inspect(&self) -> Result<serde_json::Value> {
        self.0.inspect()
    }

    /// [`crate::Container::image`].
    pub fn image(&self) -> Result<Image> {
        self.0.image()
    }

    /// [`crate::Container::start`].
    pub fn start(&self) -> Result<()> {
        block_on(self.0.start())
    }

    /// [`crate::Container::stop`].
    pub fn stop(&self, timeout: Option<Duration>) -> Result<()> {
        block_on(self.0.stop(timeout))
    }

    /// [`crate::Container::stop_with`].
    pub fn stop_with(&self, options: &StopOptions) -> Result<()> {
        block_on(self.0.stop_with(options))
    }

    /// [`crate::Container::kill`].
    pub fn kill(&self, signal: &str) -> Result<()> {
        block_on(self.0.kill(signal))
    }

    /// [`crate::Container::restart`].
    pub fn restart(&self, timeout: Option<Duration>) -> Result<()> {
        block_on(self.0.restart(timeout))
    }

    /// [`crate::Container::restart_with`].
    pub fn restart_with(&self, options: &StopOptions) -> Result<()> {
        block_on(self.0.restart_with(options))
    }

    /// [`crate::Container::pause`].
    pub fn pause(&self) -> Result<()> {
        block_on(self.0.pause())
    }

    /// [`crate::Container::unpause`].
    pub fn unpause(&self) -> Result<()> {
        block_on(self.0.unpause())
    }

    /// [`crate::Container::wait`].
    pub fn wait(&self, timeout: Option<Duration>) -> Result<i32> {
        block_on(self.0.wait(timeout))
    }

    /// [`crate::Container::exit_fd`].
    pub fn exit_fd(&self) -> Result<OwnedFd> {
        self.0.exit_fd()
    }

    /// [`crate::Container::exec`].
    pub fn exec(&self, options: ExecOptions) -> Result<Process> {
        block_on(self.0.exec(options)).map(Process)
    }

    /// [`crate::Container::exec_run`].
    pub fn exec_run(&self, options: ExecOptions, check: bool) -> Result<Output> {
        block_on(self.0.exec_run(options, check))
    }

    /// [`crate::Container::attach`].
    pub fn attach(&self) -> Result<Process> {
        block_on(self.0.attach()).map(Process)
    }

    /// [`crate::Container::logs`].
    pub fn logs(&self, options: &LogOptions) -> Result<Vec<u8>> {
        self.0.logs(options)
    }

    /// [`crate::Container::logs_stream`].
    pub fn logs_stream(&self, options: LogOptions) -> Result<LogStream> {
        self.0.logs_stream(options).map(LogStream)
    }

    /// [`crate::Container::resize`].
    pub fn resize(&self, rows: u16, cols: u16) -> Result<()> {
        block_on(self.0.resize(rows, cols))
    }

    /// [`crate::Container::rename`].
    pub fn rename(&self, name: &str) -> Result<()> {
        self.0.rename(name)
    }

    /// [`crate::Container::remove`].
    pub fn remove(&self, options: RemoveOptions) -> Result<()> {
        block_on(self.0.remove(options))
    }
}

/// [`crate::Process`].
pub struct Process(crate::Process);

impl Process {
    /// [`crate::Process::write`].
    pub fn write(&self, data: &[u8]) -> Result<()> {
        block_on(self.0.write(data))
    }

    /// [`crate::Process::close_stdin`].
    pub fn close_stdin(&self) {
        self.0.close_stdin();
    }

    /// [`crate::Process::read`].
    pub fn read(&self, stream: StdioStream, max: usize) -> Result<Vec<u8>> {
        block_on(self.0.read(stream, max))
    }

    /// [`crate::Process::fds`].
    pub fn fds(&self) -> [Option<BorrowedFd<'_>>; 3] {
        self.0.fds()
    }

    /// [`crate::Process::wait`].
    pub fn wait(&self, timeout: Option<Duration>) -> Result<i32> {
        block_on(self.0.wait(timeout))
    }

    /// [`crate::Process::poll`].
    pub fn poll(&self) -> Result<Option<i32>> {
        self.0.poll()
    }

    /// [`crate::Process::kill`].
    pub fn kill(&self, signal: i32) -> Result<()> {
        block_on(self.0.kill(signal))
    }

    /// [`crate::Process::resize`].
    pub fn resize(&self, rows: u16, cols: u16) -> Result<()> {
        block_on(self.0.resize(rows, cols))
    }

    /// [`crate::Process::communicate`].
    pub fn communicate(&self, input: &[u8]) -> Result<Output> {
        block_on(self.0.communicate(input))
    }
}

/// Output of both streams in order of arrival; [`crate::Process::next`].
impl Iterator for Process {
    type Item = Result<(StdioStream, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        block_on(self.0.next()).transpose()
    }
}

/// [`crate::LogStream`].
pub struct LogStream(crate::LogStream);

impl Iterator for LogStream {
    type Item = Result<LogLine>;

    fn next(&mut self) -> Option<Self::Item> {
        block_on(self.0.next()).transpose()
    }
}
