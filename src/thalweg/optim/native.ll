; Where are the parameters and their gradients, and if all is as wanted: run kernels on them.
;
; Written in LLVM assembly with a few abbreviations, which native.py expands; NAME is a word of the block %task:
;   %x = word NAME          its value                     %x = table NAME        its value as a pointer
;   %x = function NAME      the same, to call             %x = place NAME        its own address
;   %x = item %p, i         the i-th 64-bit word at %p    %x = place_in %p, i    that word's address

; Whether a tensor has the expected type, number of dimensions, sizes and strides.
define internal i1 @alike(ptr %task, ptr %tensor, ptr %expected, i64 %type_place) {
entry:
  %room = alloca i64, align 8
  store i64 0, ptr %room
  %type_of = function TYPE
  %failed_type = call i32 %type_of(ptr %tensor, ptr %room)
  %type = load i64, ptr %room
  %type_expected = item %expected, %type_place
  %same_type = icmp eq i64 %type, %type_expected
  %dim_of = function DIMENSIONS
  %failed_dim = call i32 %dim_of(ptr %tensor, ptr %room)
  %dim = load i64, ptr %room
  %dim_expected = item %expected, 6
  %same_dim = icmp eq i64 %dim, %dim_expected
  %failed = or i32 %failed_type, %failed_dim
  %fine = icmp eq i32 %failed, 0
  %same = and i1 %same_type, %same_dim
  %go_on = and i1 %same, %fine
  br i1 %go_on, label %shape, label %no
shape:
  %sizes_of = function SIZES
  %failed_sizes = call i32 %sizes_of(ptr %tensor, ptr %room)
  %sizes = load ptr, ptr %room
  %strides_of = function STRIDES
  %failed_strides = call i32 %strides_of(ptr %tensor, ptr %room)
  %strides = load ptr, ptr %room
  %failed_shape = or i32 %failed_sizes, %failed_strides
  %fine_shape = icmp eq i32 %failed_shape, 0
  br i1 %fine_shape, label %loop, label %no
loop:
  %i = phi i64 [ 0, %shape ], [ %next, %body ]
  %more = icmp slt i64 %i, %dim
  br i1 %more, label %body, label %yes
body:
  %size = item %sizes, %i
  %stride = item %strides, %i
  %at_size = add i64 %i, 7
  %at_stride = add i64 %at_size, %dim
  %size_expected = item %expected, %at_size
  %stride_expected = item %expected, %at_stride
  %same_size = icmp eq i64 %size, %size_expected
  %same_stride = icmp eq i64 %stride, %stride_expected
  %both = and i1 %same_size, %same_stride
  %next = add i64 %i, 1
  br i1 %both, label %loop, label %no
yes:
  ret i1 true
no:
  ret i1 false
}

; Stores the address of a tensor's memory; false if it is not plain memory of the expected type, shape and extent.
; %expected: address, type of weight, of gradient, bytes an element of weight, of gradient, elements, dimensions,
; sizes, strides. %type_place says which type.
define internal i1 @at(ptr %task, ptr %tensor, ptr %expected, i64 %type_place, ptr %address) {
entry:
  %implementation = load ptr, ptr %tensor
  %place = word KEY_PLACE
  %key = item %implementation, %place
  %key_expected = word KEY
  %plain = icmp eq i64 %key, %key_expected
  br i1 %plain, label %look, label %no
look:
  %alike = call i1 @alike(ptr %task, ptr %tensor, ptr %expected, i64 %type_place)
  br i1 %alike, label %ask, label %no
ask:
  %data_of = function DATA
  %failed_data = call i32 %data_of(ptr %tensor, ptr %address)
  ; A storage can be made smaller under its tensors.
  %room = alloca i64, align 8
  %extent_of = function EXTENT
  %failed_extent = call i32 %extent_of(ptr %tensor, ptr %room)
  %extent = load i64, ptr %room
  %offset_of = function OFFSET
  %failed_offset = call i32 %offset_of(ptr %tensor, ptr %room)
  %offset = load i64, ptr %room
  %elements = item %expected, 5
  %width_place = add i64 %type_place, 2
  %width = item %expected, %width_place
  %past = add i64 %offset, %elements
  %end = mul i64 %past, %width
  %within = icmp sle i64 %end, %extent
  %failed_some = or i32 %failed_extent, %failed_offset
  %failed = or i32 %failed_data, %failed_some
  %fine = icmp eq i32 %failed, 0
  %good = and i1 %fine, %within
  ret i1 %good
no:
  ret i1 false
}

; Whether the lists of parameters still hold the same objects.
define internal i1 @same_lists(ptr %task) {
entry:
  %lists = word LISTS
  %table = table LIST_TABLE
  %members = table MEMBERS
  %length_of = function LENGTH
  %item_of = function ITEM
  br label %next_list
next_list:
  %i = phi i64 [ 0, %entry ], [ %i_next, %list_end ]
  %first = phi i64 [ 0, %entry ], [ %past, %list_end ]
  %more = icmp slt i64 %i, %lists
  br i1 %more, label %look, label %yes
look:
  %even = shl i64 %i, 1
  %odd = add i64 %even, 1
  %list_word = item %table, %even
  %list = inttoptr i64 %list_word to ptr
  %length_expected = item %table, %odd
  %length = call i64 %length_of(ptr %list)
  %same_length = icmp eq i64 %length, %length_expected
  br i1 %same_length, label %next_member, label %no
next_member:
  %j = phi i64 [ 0, %look ], [ %j_next, %member_same ]
  %within = icmp slt i64 %j, %length
  br i1 %within, label %member_look, label %list_end
member_look:
  %object = call i64 %item_of(ptr %list, i64 %j)
  %place = add i64 %first, %j
  %expected = item %members, %place
  %same = icmp eq i64 %object, %expected
  br i1 %same, label %member_same, label %no
member_same:
  %j_next = add i64 %j, 1
  br label %next_member
list_end:
  %past = add i64 %first, %length
  %i_next = add i64 %i, 1
  br label %next_list
yes:
  ret i1 true
no:
  ret i1 false
}

; Whether states and step counts are where they were: tensors can be moved while all who hold them stay.
define internal i1 @in_place(ptr %task) {
entry:
  %kept = word KEPT
  %handles = table KEPT_HANDLES
  %expected = table KEPT_AT
  %data_of = function DATA
  %room = alloca i64, align 8
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i_next, %fine ]
  %more = icmp slt i64 %i, %kept
  br i1 %more, label %look, label %yes
look:
  %handle_word = item %handles, %i
  %handle = inttoptr i64 %handle_word to ptr
  %failed = call i32 %data_of(ptr %handle, ptr %room)
  %where = load i64, ptr %room
  %where_expected = item %expected, %i
  %same = icmp eq i64 %where, %where_expected
  br i1 %same, label %fine, label %no
fine:
  %i_next = add i64 %i, 1
  br label %loop
yes:
  ret i1 true
no:
  ret i1 false
}

; A parameter's gradient, as the address of an at::Tensor; null if it has none.
define internal ptr @gradient(ptr %task, ptr %tensor, i64 %i) {
entry:
  %held_word = word HELD
  %ask = icmp eq i64 %held_word, 0
  br i1 %ask, label %from_tensor, label %from_list
from_tensor:
  %grad_of = function GRAD
  %implementation = load ptr, ptr %tensor
  %grad = call ptr %grad_of(ptr %implementation)
  %grad_implementation = load i64, ptr %grad
  %undefined = word UNDEFINED
  %none = icmp eq i64 %grad_implementation, %undefined
  %found = select i1 %none, ptr null, ptr %grad
  ret ptr %found
from_list:
  %held = inttoptr i64 %held_word to ptr
  %item_of = function ITEM
  %object = call i64 %item_of(ptr %held, i64 %i)
  %None = word NONE
  %is_none = icmp eq i64 %object, %None
  %inside = word OBJECT
  %address = add i64 %object, %inside
  %listed = inttoptr i64 %address to ptr
  %found_listed = select i1 %is_none, ptr null, ptr %listed
  ret ptr %found_listed
}

; %worst in the block says afterwards what has to be done before anything can run; 0: it has been run.
define void @kernel(ptr %task) {
entry:
  %worst_place = place WORST
  %room = alloca i64, align 8
  store i64 3, ptr %worst_place
  %same_lists = call i1 @same_lists(ptr %task)
  br i1 %same_lists, label %states, label %leave
states:
  %in_place = call i1 @in_place(ptr %task)
  br i1 %in_place, label %start, label %leave
start:
  %count = word COUNT
  %handles = table HANDLES
  %rows = table EXPECTED
  %grads_at = table GRADS_AT
  %founds = table FOUND
  %keepers = table KEEPERS
  %held_elsewhere = word HELD
  %holds = icmp eq i64 %held_elsewhere, 0
  %wanteds = table WANTED
  %costs = table COSTS
  br label %loop
loop:
  %i = phi i64 [ 0, %start ], [ %i_next, %end ]
  %worst = phi i64 [ 0, %start ], [ %worst_next, %end ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %weight, label %looked
weight:
  %handle_word = item %handles, %i
  %handle = inttoptr i64 %handle_word to ptr
  %row_word = item %rows, %i
  %row = inttoptr i64 %row_word to ptr
  %plain = call i1 @at(ptr %task, ptr %handle, ptr %row, i64 1, ptr %room)
  %where = load i64, ptr %room
  %where_expected = item %row, 0
  %same_place = icmp eq i64 %where, %where_expected
  %still = and i1 %plain, %same_place
  br i1 %still, label %grad, label %end
grad:
  %asked = call ptr @gradient(ptr %task, ptr %handle, i64 %i)
  %absent = icmp eq ptr %asked, null
  br i1 %absent, label %end, label %present
present:
  ; Nobody holds what was asked of the tensor itself: a handle does until the kernels have run, since autograd's own
  ; threads replace gradients (backward with create_graph) without the interpreter's lock.
  br i1 %holds, label %hold, label %layout
hold:
  %keeper_at = place_in %keepers, %i
  %new = function NEW
  %failed_new = call i32 %new(ptr %asked, ptr %keeper_at)
  %keeper = load ptr, ptr %keeper_at
  ; Torch reads the gradient's address, then counts the reference: in between (some 100 ns when the count is in another
  ; core's cache) the last other reference may go. If the parameter still has the gradient, it was alive. If not,
  ; what the handle holds may be dead, so it is never touched again, at the price of a lost reference.
  %held_implementation = load i64, ptr %keeper
  %implementation_now = load volatile i64, ptr %asked
  %alive = icmp eq i64 %held_implementation, %implementation_now
  br i1 %alive, label %layout, label %lost
lost:
  store ptr null, ptr %keeper_at
  br label %end
layout:
  %gradient = phi ptr [ %asked, %present ], [ %keeper, %hold ]
  %like_weight = call i1 @at(ptr %task, ptr %gradient, ptr %row, i64 2, ptr %room)
  %place_there = load i64, ptr %room
  %status = select i1 %like_weight, i64 0, i64 2
  %there = select i1 %like_weight, i64 %place_there, i64 0
  br label %end
end:
  %found = phi i64 [ 3, %weight ], [ 1, %grad ], [ 3, %lost ], [ %status, %layout ]
  %address = phi i64 [ 0, %weight ], [ 0, %grad ], [ 0, %lost ], [ %there, %layout ]
  %found_at = place_in %founds, %i
  store i64 %found, ptr %found_at
  %address_at = place_in %grads_at, %i
  store i64 %address, ptr %address_at
  ; What was found against what was wanted: 4 entries a wanted state.
  %wanted = item %wanteds, %i
  %wanted4 = shl i64 %wanted, 2
  %entry_of = add i64 %wanted4, %found
  %cost = item %costs, %entry_of
  %worse = icmp sgt i64 %cost, %worst
  %worst_next = select i1 %worse, i64 %cost, i64 %worst
  %i_next = add i64 %i, 1
  br label %loop
looked:
  store i64 %worst, ptr %worst_place
  %ready = icmp eq i64 %worst, 0
  br i1 %ready, label %runs, label %release
runs:
  %run_count = word RUNS
  %run_table = table RUN_TABLE
  %team = function TEAM
  br label %next_run
next_run:
  %k = phi i64 [ 0, %runs ], [ %k_next, %ran ]
  %more_runs = icmp slt i64 %k, %run_count
  br i1 %more_runs, label %run, label %versions
run:
  %k3 = mul i64 %k, 3
  %k31 = add i64 %k3, 1
  %k32 = add i64 %k3, 2
  %kernel_word = item %run_table, %k3
  %kernel = inttoptr i64 %kernel_word to ptr
  %block_word = item %run_table, %k31
  %block = inttoptr i64 %block_word to ptr
  %threads = item %run_table, %k32
  store i64 0, ptr %block
  %alone = icmp sle i64 %threads, 1
  br i1 %alone, label %run_alone, label %run_team
run_alone:
  call void %kernel(ptr %block)
  br label %ran
run_team:
  %threads32 = trunc i64 %threads to i32
  call void %team(ptr %kernel, ptr %block, i32 %threads32, i32 0)
  br label %ran
ran:
  %k_next = add i64 %k, 1
  br label %next_run
versions:
  %anything = icmp sgt i64 %run_count, 0
  br i1 %anything, label %bumps, label %release
bumps:
  %bump = function BUMP
  br label %next_bump
next_bump:
  %b = phi i64 [ 0, %bumps ], [ %b_next, %bump_end ]
  %more_bumps = icmp slt i64 %b, %count
  br i1 %more_bumps, label %bump_weight, label %release
bump_weight:
  %moved = item %grads_at, %b
  %still_there = icmp eq i64 %moved, 0
  br i1 %still_there, label %bump_end, label %bump_moved
bump_moved:
  %bumped_word = item %handles, %b
  %bumped = inttoptr i64 %bumped_word to ptr
  call void %bump(ptr %bumped)
  br label %bump_end
bump_end:
  %b_next = add i64 %b, 1
  br label %next_bump
release:
  br i1 %holds, label %let_go, label %leave
let_go:
  %delete = function DELETE
  br label %next_release
next_release:
  %r = phi i64 [ 0, %let_go ], [ %r_next, %release_end ]
  %more_releases = icmp slt i64 %r, %count
  br i1 %more_releases, label %release_one, label %leave
release_one:
  %kept_at = place_in %keepers, %r
  %kept = load ptr, ptr %kept_at
  %nothing = icmp eq ptr %kept, null
  br i1 %nothing, label %release_end, label %delete_one
delete_one:
  %failed_delete = call i32 %delete(ptr %kept)
  store ptr null, ptr %kept_at
  br label %release_end
release_end:
  %r_next = add i64 %r, 1
  br label %next_release
leave:
  ret void
}
