(* Bands that start at every t-th column only.  Book: prop-dp-strides. *)
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

(* Whether a band meets a patch, by listing its columns: what can be computed. *)
Definition meets_by_listing W s m p q :=
  has (fun j => let c := (q + j) %% W in (p <= c) && (c < p + m)) (iota 0 s).

Lemma meets_listed W s m p (q : 'I_W) : meets W s m p q = meets_by_listing W s m p q.
Proof.
apply/existsP/hasP => [[c /andP[/existsP[j /eqP jc] pc]]|[j]].
  by exists (j : nat); rewrite ?mem_iota ?add0n ?ltn_ord //= jc.
rewrite mem_iota add0n => /andP[_ js] pj; have W0 : 0 < W by apply: leq_ltn_trans (ltn_ord q).
exists (Ordinal (ltn_pmod (q + j) W0)); apply/andP; split=> //.
by apply/existsP; exists (Ordinal js).
Qed.

(** If t does not divide W the number (s + m - 1) / t, rounded up, can be too small: with 224 columns,
    bands of 19 and a stride of 10 it is 5, and the patch of 32 columns at column 0 meets 6 bands.
    Book: prop-dp-strides. *)
Theorem released_formula_fails : (19 + 32 - 1 + 10 - 1) %/ 10 = 5
  /\ #|[set q : 'I_224 | (10 %| q) && meets 224 19 32 0 q]| = 6.
Proof.
split; first by [].
pose P q := (10 %| q) && meets_by_listing 224 19 32 0 q.
rewrite -sum1_card (eq_bigl (fun q : 'I_224 => P q)) => [|q]; last by rewrite inE /P meets_listed.
by rewrite -(big_mkord P (fun=> 1)) sum1_count; vm_compute.
Qed.

(** Whatever t is, no patch of m columns inside the image meets more than one band above
    (s + m - 1) / t, rounded up, for bands of at most W columns.
    Book: prop-dp-strides. *)
Theorem strided_any W s m p t : 0 < s -> 0 < m -> s <= W -> p + m <= W -> 0 < t ->
  #|[set q : 'I_W | (t %| q) && meets W s m p q]| <= (s + m - 1 + t - 1) %/ t + 1.
Proof.
move=> s0 m0 sW pW t0; have W0 : 0 < W by lia.
(* The arc is cut at column 0: two lengths need at most one multiple more. *)
have two L1 L2 : (L1 + t - 1) %/ t + (L2 + t - 1) %/ t <= (L1 + L2 + t - 1) %/ t + 1.
  have up L : (L + t - 1) %/ t * t <= L + t - 1 by exact: leq_trunc_div.
  have lo L : L <= (L + t - 1) %/ t * t.
    have := divn_eq (L + t - 1) t; have := ltn_pmod (L + t - 1) t0.
    by move: (_ %/ _ * _) (_ %% _) => a b; lia.
  have u1 := up L1; have u2 := up L2; have l := lo (L1 + L2); clear up lo.
  move: ((L1 + L2 + t - 1) %/ t) ((L1 + t - 1) %/ t) ((L2 + t - 1) %/ t) u1 u2 l => c a b u1 u2 l.
  have : (a + b) * t < (c + 2) * t.
    by rewrite !mulnDl; move: (a * t) (b * t) (c * t) u1 u2 l => x y z; clear -t0; lia.
  by rewrite ltn_pmul2r // => lt; clear -lt; lia.
pose a1 := p - s.-1; pose L1 := p + m - a1; pose a2 := W - (s.-1 - p); pose L2 := s.-1 - p.
have L12 : L1 + L2 = s + m - 1 by rewrite /L1 /L2 /a1; lia.
pose g a L (i : 'I_L) : 'I_W := Ordinal (ltn_pmod (a + i) W0).
pose M a L := g a L @: [set i : 'I_L | t %| a + i].
rewrite -L12; apply: leq_trans (two L1 L2); clear two.
apply: (@leq_trans (#|M a1 L1| + #|M a2 L2|)); last first.
  by apply: leq_add; apply: leq_trans (leq_imset_card _ _) (multiples_in_arc _ _ t0).
apply: leq_trans (leq_card_setU _ _); apply: subset_leq_card; apply/subsetP => q.
rewrite inE => /andP[tq /(meets_arc s0 m0 pW (ltn_ord q))[i iL iq]].
have inM a L j : j < L -> a + j = q -> q \in M a L.
  move=> jL e; apply/imsetP; exists (Ordinal jL); first by rewrite inE /= e.
  by apply: val_inj; rewrite /= e modn_small.
rewrite inE; apply/orP; clear tq t0 L12.
have [near|far] := leqP s.-1 (p + i).
  left; apply: (inM a1 L1 (p + i - s.-1 - a1)); first by rewrite /L1 /a1; clear -near iL s0 m0; lia.
  have sE : p + s * W - s.-1 + i = s * W + (p + i - s.-1).
    by have := leq_pmulr s W0; move: (s * W) => K; clear -near iL s0; lia.
  move: iq; rewrite sE modnMDl modn_small => [<-|]; first by rewrite /a1; clear -near; lia.
  by clear -near iL s0 m0 pW; lia.
right; apply: (inM a2 L2 i); first by rewrite /L2; clear -far; lia.
have sE : p + s * W - s.-1 + i = s.-1 * W + (W - (s.-1 - p - i)).
  have -> : s * W = s.-1 * W + W by rewrite -{1}(prednK s0) mulSn addnC.
  by move: (s.-1 * W) => K; clear -far sW; lia.
move: iq; rewrite sE modnMDl modn_small => [<-|]; first by rewrite /a2; clear -far sW; lia.
by clear -far sW W0; lia.
Qed.
