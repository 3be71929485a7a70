(* A whole table of bounds, one for each count, and its promise.  Book: thm-clopper-pearson. *)
From Coq Require Import ZArith.
From mathcomp Require Import all_ssreflect all_algebra.
From mathcomp Require Import zify ssrZ.
From Formal Require Import Zreal Binomial CPCheck.
Delimit Scope Z_scope with Z.
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.
Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Fixpoint rows_ok (n : Z) (k : Z) (table : seq (Z * Z)) an ad unit fuel : bool :=
  if table is (A, B) :: table' then
    ((0 <? B)%Z && ((A <=? 0)%Z || cp_ok n k A B an ad unit fuel))
      && rows_ok n (k + 1) table' an ad unit fuel
  else true.

Definition table_ok n table an ad unit fuel : bool :=
  [&& size table == n.+1, (0 <=? an)%Z, (0 <? ad)%Z & rows_ok (Z.of_nat n) 0 table an ad unit fuel].

Section Table.

Variable R : realFieldType.
Definition entry (table : seq (Z * Z)) (k : nat) : R :=
  let '(A, B) := nth (0, 1)%Z table k in Zr R A / Zr R B.

Lemma rows_sound n table an ad unit fuel k0 k :
  rows_ok (Z.of_nat n) (Z.of_nat k0) table an ad unit fuel -> (k < size table)%N ->
  entry table k <= 0 \/ entry table k <= 1 /\ tail (entry table k) n (k0 + k) <= Zr R an / Zr R ad.
Proof.
elim: table k0 k => // -[A B] table IH k0 k /= /andP[/andP[/Z.ltb_spec0 B0 ok] rest].
case: k => [_|k kt]; last first.
  rewrite addnS -addSn; apply: IH kt.
  by have -> : (Z.of_nat k0.+1 = Z.of_nat k0 + 1)%Z by lia.
rewrite /entry /= addn0; case/orP: ok => [/Z.leb_spec0 A0|ok].
  by left; rewrite ler_pdivr_mulr ?Zr_gt0 // mul0r; apply: (Zr_le R A0).
right; have := ok; rewrite /cp_ok => /and5P[/Z.ltb_spec0 A0 /Z.ltb_spec0 AB _ _ _].
split; last exact: (cp_ok_sound R A0 AB ok).
by rewrite ler_pdivr_mulr ?Zr_gt0 // mul1r; apply: Zr_le; lia.
Qed.

(** If table_ok passes a table of bounds, one for each count, then whatever p is, the bound of the count
    exceeds p with probability at most an / ad.
    Book: thm-clopper-pearson. *)
Theorem table_ok_valid n table an ad unit fuel p : table_ok n table an ad unit fuel ->
  0 <= p <= 1 -> Pr p n (fun w => p < entry table (votes w)) <= Zr R an / Zr R ad.
Proof.
move=> /and4P[/eqP st /Z.leb_spec0 an0 /Z.ltb_spec0 ad0 ok]; apply: clopper_pearson.
  by rewrite divr_ge0 ?Zr_ge0 //; lia.
move=> k kn; rewrite -[k in tail _ _ k]add0n; apply: (@rows_sound n table an ad unit fuel 0 k ok).
by rewrite st ltnS.
Qed.

End Table.
