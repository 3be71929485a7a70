(** A program that checks a worst case of the finite Neyman-Pearson problem, from integers alone.
    It checks what certificates.discrete and certificates.neyman_pearson returned.

    rows holds the masses (P, Q) of each outcome in units of 1 / N, and t = tn / td is any price.  Of
    an outcome a test gains t P - Q at most where that is positive, so t p less the sum of these
    surpluses is a lower bound of the Q-mass of every test of P-mass at least p.  With the price of the
    last outcome that the algorithm fills it is the algorithm's own value. *)
From Coq Require Import ZArith.
From mathcomp Require Import all_ssreflect all_algebra ring.
From mathcomp Require Import zify ssrZ.
From Formal Require Import Zreal NeymanPearson.
Delimit Scope Z_scope with Z.
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.
Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Definition surplus (tn td : Z) (row : Z * Z) : Z := Z.max 0 (tn * row.1 - td * row.2)%Z.

Definition surpluses (tn td : Z) (rows : seq (Z * Z)) : Z :=
  foldr (fun row sum => (surplus tn td row + sum)%Z) 0%Z rows.

(* At least qn / qd for every test of P-mass at least pn / pd. *)
Definition np_ok (rows : seq (Z * Z)) (N tn td pn pd qn qd : Z) : bool :=
  [&& (0 <=? tn)%Z, (0 <? td)%Z, (0 <? N)%Z, (0 <? pd)%Z, (0 <? qd)%Z &
   (qn * td * N * pd + surpluses tn td rows * qd * pd <=? tn * pn * N * qd)%Z].

Section Soundness.

Variables (R : realFieldType) (rows : seq (Z * Z)) (N : Z).
Local Notation Zr := (Zr R).

(* The two laws that the rows hold. *)
Definition base (i : 'I_(size rows)) : R := Zr (nth (0, 0)%Z rows i).1 / Zr N.
Definition shifted (i : 'I_(size rows)) : R := Zr (nth (0, 0)%Z rows i).2 / Zr N.

Lemma surpluses_sum tn td :
  Zr (surpluses tn td rows) = \sum_(i < size rows) Zr (surplus tn td (nth (0, 0)%Z rows i)).
Proof.
rewrite -(big_mkord xpredT (fun i => Zr (surplus tn td (nth (0, 0)%Z rows i)))).
rewrite -(big_nth (0, 0)%Z xpredT (fun row => Zr (surplus tn td row))).
by elim: rows => [|row s IH] /=; rewrite ?big_nil // big_cons ZrD IH.
Qed.

(** If np_ok passes, every test of the outcomes with P-mass at least pn / pd has Q-mass at least
    qn / qd.
    Book: thm-np-finite. *)
Theorem np_ok_sound tn td pn pd qn qd (h : 'I_(size rows) -> R) :
  np_ok rows N tn td pn pd qn qd -> test h ->
  Zr pn / Zr pd <= mass base h -> Zr qn / Zr qd <= mass shifted h.
Proof.
rewrite /np_ok => /and5P[/Z.leb_spec0 t0 /Z.ltb_spec0 d0 /Z.ltb_spec0 N0 /Z.ltb_spec0 p0].
case/andP=> /Z.ltb_spec0 q0 /Z.leb_spec0 fin th.
have split f : \sum_i h i * (f i / Zr N) = (\sum_i h i * f i) / Zr N.
  by rewrite mulr_suml; apply: eq_bigr => i _; rewrite mulrA.
rewrite /mass /base /shifted !split.
set mp := \sum_i h i * _; set mq := \sum_i h i * _.
have tN := Zr_gt0 R N0; have td0 := Zr_gt0 R d0; have pd0 := Zr_gt0 R p0; have qd0 := Zr_gt0 R q0.
have dual : Zr tn * mp <= Zr td * mq + Zr (surpluses tn td rows).
  rewrite surpluses_sum !mulr_sumr -big_split /=; apply: ler_sum => i _.
  have /andP[h0 h1] := th i; set row := nth _ _ _.
  have gain : Zr tn * Zr row.1 - Zr td * Zr row.2 <= Zr (surplus tn td row).
    by rewrite -!ZrM -ZrB; apply: Zr_le; rewrite /surplus; lia.
  have s0 : 0 <= Zr (surplus tn td row) by apply: Zr_ge0; rewrite /surplus; lia.
  rewrite -ler_subl_addl.
  have -> : Zr tn * (h i * Zr row.1) - Zr td * (h i * Zr row.2)
    = h i * (Zr tn * Zr row.1 - Zr td * Zr row.2) by ring.
  apply: (@le_trans _ _ (h i * Zr (surplus tn td row))); first exact: ler_wpmul2l.
  by rewrite ler_pimull.
rewrite ler_pdivl_mulr // mulrAC ler_pdivr_mulr // => pmass.
rewrite ler_pdivl_mulr // mulrAC ler_pdivr_mulr //.
have c0 : 0 < Zr td * Zr pd by rewrite mulr_gt0.
rewrite -(ler_pmul2l c0).
have fin' : Zr qn * Zr td * Zr N * Zr pd + Zr (surpluses tn td rows) * Zr qd * Zr pd
    <= Zr tn * Zr pn * Zr N * Zr qd.
  by rewrite -!ZrM -ZrD; apply: Zr_le.
have a := ler_wpmul2r (ltW (mulr_gt0 qd0 pd0)) dual.
have t0' : 0 <= Zr tn by exact: Zr_ge0.
have b := ler_wpmul2l (mulr_ge0 t0' (ltW qd0)) pmass.
move: mp mq a b fin' {dual pmass split} => mp mq; move: (Zr (surpluses _ _ _)) => S a b fin'.
rewrite -subr_ge0.
have -> : Zr td * Zr pd * (mq * Zr qd) - Zr td * Zr pd * (Zr qn * Zr N)
  = ((Zr td * mq + S) * (Zr qd * Zr pd) - Zr tn * mp * (Zr qd * Zr pd))
    + (Zr tn * Zr qd * (mp * Zr pd) - Zr tn * Zr qd * (Zr pn * Zr N))
    + (Zr tn * Zr pn * Zr N * Zr qd - (Zr qn * Zr td * Zr N * Zr pd + S * Zr qd * Zr pd)) by ring.
by apply: addr_ge0; [apply: addr_ge0 |]; rewrite subr_ge0.
Qed.

End Soundness.
