(** A program that checks a value of Delta(rho), the largest share of views that changes.
    It checks what certificates.ablation.delta returned. *)
From Coq Require Import ZArith.
From mathcomp Require Import all_ssreflect all_algebra ring.
From mathcomp Require Import zify ssrZ.
From Formal Require Import Zreal Ablation.
Delimit Scope Z_scope with Z.
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.
Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

(* C(d - rho, k) / C(d, k) as a ratio, by one factor for each changed pixel: no binomial. *)
Fixpoint share (d k : Z) (rho : nat) : Z * Z :=
  if rho is S r then
    let '(a, b) := share d k r in (a * (d - Z.of_nat r - k), b * (d - Z.of_nat r))%Z
  else (1, 1)%Z.

Definition delta_ok (d k rho : nat) (A B : Z) : bool :=
  let '(a, b) := share (Z.of_nat d) (Z.of_nat k) rho in
  [&& (k + rho <= d)%N, (0 <? B)%Z & ((B - A) * b =? a * B)%Z].

Section Soundness.

Variable R : realFieldType.
Local Notation Zr := (Zr R).

Lemma share_sound d k rho : (k + rho <= d)%N ->
  let '(a, b) := share (Z.of_nat d) (Z.of_nat k) rho in
  (0 < b)%Z /\ 'C(d - rho, k)%:R * Zr b = 'C(d, k)%:R * Zr a.
Proof.
elim: rho => [|r IH] le /=; first by rewrite subn0.
have lt : (k + r < d)%N by rewrite -addnS.
have := IH (ltnW lt); case: share => a b [b0 e].
have -> : (Z.of_nat d - Z.of_nat r - Z.of_nat k = Z.of_nat (d - r - k))%Z by lia.
have -> : (Z.of_nat d - Z.of_nat r = Z.of_nat (d - r))%Z by lia.
split; first by apply: Z.mul_pos_pos => //; lia.
rewrite !ZrM !Zr_nat.
have step : (d - r)%:R * 'C(d - r.+1, k)%:R = (d - r - k)%:R * 'C(d - r, k)%:R :> R.
  by rewrite -!natrM -mul_bin_down subnS.
transitivity (((d - r)%:R * 'C(d - r.+1, k)%:R) * Zr b); first by ring.
rewrite step; transitivity (('C(d - r, k)%:R * Zr b) * (d - r - k)%:R); first by ring.
by rewrite e; ring.
Qed.

(** If delta_ok passes A / B, then A / B is Delta(rho) = 1 - C(d - rho, k) / C(d, k).
    Book: eq-ra-delta. *)
Theorem delta_ok_sound d k rho A B : delta_ok d k rho A B -> delta R d k rho = Zr A / Zr B.
Proof.
rewrite /delta_ok; case E: share => [a b] /and3P[le /Z.ltb_spec0 B0 /Z.eqb_spec fin].
have := share_sound le; rewrite E => -[b0 e].
have C0 : 'C(d, k)%:R != 0 :> R.
  by rewrite pnatr_eq0 -lt0n bin_gt0; apply: leq_trans le; apply: leq_addr.
have b0' : Zr b != 0 by rewrite gt_eqF ?Zr_gt0.
have B0' : Zr B != 0 by rewrite gt_eqF ?Zr_gt0.
have quotient : 'C(d - rho, k)%:R / 'C(d, k)%:R = Zr a / Zr b :> R.
  by apply/eqP; rewrite eqr_div // e mulrC.
have fin' : (Zr B - Zr A) * Zr b = Zr a * Zr B by rewrite -ZrB -!ZrM fin.
rewrite /delta quotient; apply/eqP; rewrite subr_eq addrC -subr_eq eq_sym.
rewrite -{1}(divff B0') -mulrBl eqr_div //; exact/eqP.
Qed.

End Soundness.
