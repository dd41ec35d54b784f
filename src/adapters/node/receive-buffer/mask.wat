;; Masking and unmasking with 128-bit SIMD instructions (RFC 6455 §5.3), inside the memory into which sockets read.
;; `node scripts/assemble-mask.mjs` translates this file to `mask-module.ts`.
(module
  ;; 9 pages of 64 KiB. The memory never grows, because that would detach the buffer that the sockets use.
  (memory (export "memory") 9 9)

  ;; Masks the bytes from $at to $end in place. Returns the bits that are set in any byte of the result: it is ASCII
  ;; if the highest bit of each byte of the return value is 0.
  ;;
  ;; $key is the masking key. Its least significant byte belongs to the byte at $at.
  (func (export "applyMask") (param $at i32) (param $end i32) (param $key i32) (result i32)
    (local $keys v128)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local $union v128)
    (local $byte i32) (local $rest i32)
    (local.set $keys (i32x4.splat (local.get $key)))

    ;; 64 bytes per step.
    (block $done64
      (loop $next64
        (br_if $done64 (i32.gt_u (i32.add (local.get $at) (i32.const 64)) (local.get $end)))
        (local.set $a (v128.xor (v128.load (local.get $at)) (local.get $keys)))
        (local.set $b (v128.xor (v128.load offset=16 (local.get $at)) (local.get $keys)))
        (local.set $c (v128.xor (v128.load offset=32 (local.get $at)) (local.get $keys)))
        (local.set $d (v128.xor (v128.load offset=48 (local.get $at)) (local.get $keys)))
        (v128.store (local.get $at) (local.get $a))
        (v128.store offset=16 (local.get $at) (local.get $b))
        (v128.store offset=32 (local.get $at) (local.get $c))
        (v128.store offset=48 (local.get $at) (local.get $d))
        (local.set $union
          (v128.or
            (local.get $union)
            (v128.or (v128.or (local.get $a) (local.get $b)) (v128.or (local.get $c) (local.get $d)))))
        (local.set $at (i32.add (local.get $at) (i32.const 64)))
        (br $next64)))

    ;; 16 bytes per step.
    (block $done16
      (loop $next16
        (br_if $done16 (i32.gt_u (i32.add (local.get $at) (i32.const 16)) (local.get $end)))
        (local.set $a (v128.xor (v128.load (local.get $at)) (local.get $keys)))
        (v128.store (local.get $at) (local.get $a))
        (local.set $union (v128.or (local.get $union) (local.get $a)))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next16)))

    ;; One byte per step. The steps above are multiples of the key's length, so they leave the key as it is.
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $byte (i32.xor (i32.load8_u (local.get $at)) (i32.and (local.get $key) (i32.const 0xff))))
        (i32.store8 (local.get $at) (local.get $byte))
        (local.set $rest (i32.or (local.get $rest) (local.get $byte)))
        (local.set $key (i32.rotr (local.get $key) (i32.const 8)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))

    (i32.or
      (local.get $rest)
      (i32.or
        (i32.or (i32x4.extract_lane 0 (local.get $union)) (i32x4.extract_lane 1 (local.get $union)))
        (i32.or (i32x4.extract_lane 2 (local.get $union)) (i32x4.extract_lane 3 (local.get $union)))))))
