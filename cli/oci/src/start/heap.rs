//! Memory for objects: this program makes and drops some two thousand in a start, and then ends. Blocks of one size
//! are kept in a list when they are dropped, and otherwise cut off a piece of memory of the program's own; very large ones, and
//! those of other threads, are the C library's business, which most commands thus never begin.
//!
//! A process that is made in this program's memory has the thread's control block too, and takes turns with it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::null_mut;
use std::sync::atomic::{Ordering, compiler_fence};

/// All there is. What is not used takes no memory.
const ROOM: usize = 1 << 20;

/// Sizes are multiples of it, and so are addresses.
const GRAIN: usize = 16;

/// Objects of at most so many grains have a list for each size.
const FINE: usize = 64;

/// Larger ones are rounded up to the next power of two, so often at most: 16 KiB.
const COARSE: usize = 4;

/// The program's objects.
pub struct Heap;

/// Not at the beginning of a page: what the program writes to before comes first, by the linker's list (`order/objects.txt`).
#[repr(C, align(16))]
struct Room(UnsafeCell<[u8; ROOM]>);

// SAFETY: only the one thread that `owner` names touches it.
unsafe impl Sync for Room {}

static ROOM_ITSELF: Room = Room(UnsafeCell::new([0; ROOM]));

struct Lists {
    /// The thread's control block; 0: nobody's yet.
    owner: usize,
    /// So much of the room was cut off.
    used: usize,
    /// By [`kind`](Kind), the first block that was dropped; in each block is where the next one is.
    dropped: [*mut u8; KINDS],
}

const KINDS: usize = FINE + 1 + COARSE;

struct Shared(UnsafeCell<Lists>);

// SAFETY: written to by the thread that `owner` names alone; others read that number, which is set before there are any.
unsafe impl Sync for Shared {}

static LISTS: Shared = Shared(UnsafeCell::new(Lists { owner: 0, used: 0, dropped: [null_mut(); KINDS] }));

/// The address of this thread's control block, which begins with it.
#[inline(always)]
fn thread() -> usize {
    let at: usize;
    // SAFETY: the ABI of threads keeps the block's own address at its beginning; it is there before this is called first.
    unsafe { std::arch::asm!("mov {}, fs:0", out(reg) at, options(nostack, pure, readonly)) };
    at
}

/// Makes this thread the owner.
///
/// # Safety
/// It must have its control block, and be the only one.
pub(super) unsafe fn begin() {
    // SAFETY: the caller vouches for that.
    unsafe { (*LISTS.0.get()).owner = thread() };
}

/// Where the first objects will be.
pub(super) fn start() -> usize {
    ROOM_ITSELF.0.get() as usize
}

/// The lists, if this thread is the owner.
#[inline(always)]
fn own() -> Option<*mut Lists> {
    let lists = LISTS.0.get();
    // SAFETY: the number is written once, before there are other threads.
    (unsafe { (*lists).owner } == thread()).then_some(lists)
}

/// Blocks that are kept in one list.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Kind {
    /// Of the list.
    index: usize,
    /// The size of each.
    size: usize,
}

impl Kind {
    /// `None`: the C library's.
    #[inline(always)]
    fn of(layout: Layout) -> Option<Kind> {
        let grains = layout.size().div_ceil(GRAIN);
        if layout.align() > GRAIN {
            None
        } else if grains <= FINE {
            Some(Kind { index: grains, size: grains * GRAIN })
        } else {
            Kind::large(grains)
        }
    }

    #[cold]
    fn large(grains: usize) -> Option<Kind> {
        if grains > FINE << COARSE {
            return None;
        }
        let whole = grains.next_power_of_two();
        let index = FINE + (whole.ilog2() - FINE.ilog2()) as usize;
        Some(Kind { index, size: whole * GRAIN })
    }
}

#[inline(always)]
fn is_inside(block: *mut u8) -> bool {
    (block as usize).wrapping_sub(ROOM_ITSELF.0.get() as usize) < ROOM
}

// SAFETY: blocks are cut off the room one behind the other, or were dropped and are not in use; each is as large and as aligned as
// was asked for. All others are the system allocator's, which takes them back: the two are told apart by their addresses.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if let (Some(kind), Some(lists)) = (Kind::of(layout), own()) {
            // SAFETY: nobody else has the lists now. A block in a list is large enough for an address, and holds one.
            unsafe {
                let block = (*lists).dropped[kind.index];
                if !block.is_null() {
                    (*lists).dropped[kind.index] = *block.cast();
                    return block;
                }
                let used = (*lists).used;
                if used + kind.size <= ROOM {
                    (*lists).used = used + kind.size;
                    return ROOM_ITSELF.0.get().cast::<u8>().add(used);
                }
            }
        }
        // SAFETY: the caller's vouching is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if Kind::of(layout).is_none() {
            // SAFETY: the caller's vouching is the same. Fresh memory of the kernel's is zero already.
            return unsafe { System.alloc_zeroed(layout) };
        }
        // SAFETY: as above; the block is as large as was asked for.
        unsafe {
            let block = self.alloc(layout);
            if !block.is_null() {
                block.write_bytes(0, layout.size());
            }
            block
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if !is_inside(block) {
            // SAFETY: what is not of the room is the system allocator's.
            return unsafe { System.dealloc(block, layout) };
        }
        // Another thread's objects are few, and stay.
        if let (Some(kind), Some(lists)) = (Kind::of(layout), own()) {
            // SAFETY: the caller gives the block up, and it is of this size.
            unsafe {
                *block.cast() = (*lists).dropped[kind.index];
                // A process that shares this memory may be killed at any instruction: the list is whole at each.
                compiler_fence(Ordering::Release);
                (*lists).dropped[kind.index] = block;
            }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !is_inside(block) {
            // SAFETY: as above.
            return unsafe { System.realloc(block, layout, size) };
        }
        // SAFETY: the caller vouches that the size, rounded up to the alignment, is no more than there can be.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if Kind::of(new).is_some_and(|kind| Some(kind) == Kind::of(layout)) {
            return block;
        }
        // SAFETY: the new block is another one, and both are as long as what is copied.
        unsafe {
            let moved = self.alloc(new);
            if !moved.is_null() {
                std::ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}
