(* Bands that start at every t-th column only.  Book: prop-dp-strides, first sentence, and the case
   224 columns, stride 10, that refutes the released formula when t does not divide W. *)
From mathcomp Require Import all_ssreflect zify.
From Formal Require Import Bands.
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.

Lemma multiples_in_arc a L t : 0 < t ->
  #|[set i : 'I_L | t %| a + i]| <= (L + t - 1) %/ t.
Proof.
move=> t0; have small (i : 'I_L) : i %/ t < (L + t - 1) %/ t.
  have iL := ltn_ord i; have -> : L + t - 1 = L.-1 + t by lia.
  by rewrite divnDr ?divnn ?t0 ?addn1 // ltnS leq_div2r //; lia.
pose f i := Ordinal (small i).
have f_inj : {in [set i : 'I_L | t %| a + i] &, injective f}.
  move=> i j; rewrite !inE => ti tj /(congr1 val) /= e.
  apply: val_inj => /=; rewrite (divn_eq i t) (divn_eq j t) e; congr (_ + _).
  by apply/eqP; rewrite -(eqn_modDl a) (eqP ti) (eqP tj).
by rewrite -(card_in_imset f_inj) -[X in _ <= X]card_ord max_card.
Qed.

(** If bands start at every t-th column only and t divides W, no patch of m columns inside the image
    meets more than (s + m - 1) / t of them, rounded up.
    Book: prop-dp-strides. *)
Theorem strided W s m p t : 0 < s -> 0 < m -> p + m <= W -> 0 < t -> t %| W ->
  #|[set q : 'I_W | (t %| q) && meets W s m p q]| <= (s + m - 1 + t - 1) %/ t.
Proof.
move=> s0 m0 pW t0 tW; have W0 : 0 < W by lia.
pose first := p + s * W - s.-1.
apply: leq_trans (multiples_in_arc first (s + m - 1) t0).
pose g (i : 'I_(s + m - 1)) : 'I_W := Ordinal (ltn_pmod (first + i) W0).
apply: leq_trans (leq_imset_card g _); apply: subset_leq_card; apply/subsetP => q.
rewrite inE => /andP[tq /(meets_arc s0 m0 pW (ltn_ord q))[i iL iq]].
apply/imsetP; exists (Ordinal iL); last exact: val_inj.
by rewrite inE /=; move: tq; rewrite -iq /dvdn modn_dvdm.
Qed.

(* ceil((19 + 32 - 1) / 10) = 5, and the patch at column 0 meets 6 of the 23 bands. *)
Definition meets_by_listing W s m p q :=
  has (fun j => let c := (q + j) %% W in (p <= c) && (c < p + m)) (iota 0 s).
(** If t does not divide W this number can be too small: with 224 columns, bands of 19 and a stride of
    10 it is 5, and of the 23 bands the patch of 32 columns at column 0 meets 6, found by listing.
    Book: prop-dp-strides. *)
Theorem released_formula_fails :
  (19 + 32 - 1 + 10 - 1) %/ 10 = 5
    /\ seq.count (meets_by_listing 224 19 32 0) [seq 10 * i | i <- iota 0 23] = 6.
Proof. by vm_compute. Qed.
