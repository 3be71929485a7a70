(* An executable check of one patch certificate: the votes of all bands of an image.
   Book: thm-dp-positions, thm-dp-bands; it checks what patch.certified(.., "positions") says. *)
From mathcomp Require Import all_ssreflect zify.
From Formal Require Import Bands Votes.
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.

Section Check.

(* One list of 0/1 votes for each of the W positions, one entry for each of the K classes. *)
Variables (K s m : nat) (V : seq (seq bool)).
Let W := size V.

Definition vote (q k : nat) := nth false (nth [::] V q) k.

(* Whether the band q meets the patch at p, without division: columns q ... q + s - 1 around. *)
Definition touches (p q : nat) :=
  ((q < p + m) && (p < q + s)) || (W + p < q + s).

Definition total (P : pred nat) k := seq.count (fun q => P q && vote q k) (iota 0 W).

Definition votes_ok (c : nat) : bool :=
  [&& 0 < s, 0 < m, s <= W, m <= W, c < K &
   all (fun p =>
     let struck := seq.count (touches p) (iota 0 W) in
     let ac := total (touches p) c in
     let nc := total predT c in
     all (fun k => (k == c) ||
       (total predT k + ac + struck + (k < c) <= nc + total (touches p) k)) (iota 0 K))
     (iota 0 (W - m).+1)].

End Check.

Section Soundness.

Variables (K s m : nat) (V : seq (seq bool)).
Local Notation W := (size V).

Lemma touches_meets p (q : 'I_W) : 0 < s -> 0 < m -> s <= W -> p + m <= W ->
  meets W s m p q = touches s m V p q.
Proof.
move=> s0 m0 sW pW; have qW := ltn_ord q; apply/existsP/idP => [[c]|].
  case/andP=> /existsP[j /eqP jc] /andP[pc cp]; have js := ltn_ord j.
  rewrite /touches; have [small|large] := ltnP (q + j) W.
    by move: jc; rewrite modn_small // => e; lia.
  have e : q + j - W = c.
    by rewrite -jc -[in RHS](subnK large) modnDr modn_small //; lia.
  by clear jc; lia.
rewrite /touches; case: (boolP (_ && _)) => [/andP[qp ps] _|_ /= wrap].
  have uW : maxn p q < W by lia.
  have js : maxn p q - q < s by lia.
  exists (Ordinal uW); apply/andP; split; last by rewrite /in_patch /=; lia.
  by apply/existsP; exists (Ordinal js) => /=; rewrite modn_small; apply/eqP; lia.
have pW' : p < W by lia.
have js : W + p - q < s by lia.
exists (Ordinal pW'); apply/andP; split; last by rewrite /in_patch /=; lia.
apply/existsP; exists (Ordinal js) => /=.
have -> : q + (W + p - q) = p + W by lia.
by rewrite modnDr modn_small.
Qed.

Lemma iota_index : iota 0 W = index_iota 0 W.
Proof. by rewrite /index_iota subn0. Qed.

Lemma total_sum (P : pred nat) k :
  total V P k = \sum_(q : 'I_W | P q) vote V q k.
Proof.
rewrite /total -sum1_count big_mkcond iota_index big_mkord.
by rewrite [RHS]big_mkcond; apply: eq_bigr => q _; case: (P q); case: (vote V q k).
Qed.

Lemma struck_card (P : pred nat) : seq.count P (iota 0 W) = #|[set q : 'I_W | P q]|.
Proof.
rewrite -sum1_count big_mkcond iota_index big_mkord -big_mkcond /= -sum1_card.
by apply: eq_bigl => q; rewrite inE.
Qed.

(** If votes_ok passes the table V of the votes at x, then for every patch of m columns inside the image,
    every x' that differs from x there alone, and every base classifier that sees one band at a time and
    casts V at x, the answer at x' is c.
    Book: thm-dp-positions. *)
Theorem votes_ok_sound (pixel : eqType) (H p c : nat) (base : 'I_W -> ('I_H -> 'I_W -> option pixel) -> nat -> bool)
    (x x' : image pixel H W) :
  votes_ok K s m V c ->
  (forall q v v', (forall i j, v i j = v' i j) -> base q v =1 base q v') ->
  (forall q k, base q (view s x q) k = vote V q k) ->
  p + m <= W -> (forall i (j : 'I_W), ~~ in_patch m p j -> x i j = x' i j) ->
  ans K (fun q => base q (view s x' q)) = c.
Proof.
case/and5P=> s0 m0 sW mW /andP[cK /allP ok] ext seen pW same.
have /ok/allP okp : p \in iota 0 (W - m).+1 by rewrite mem_iota; lia.
apply: (@positions_sound _ _ [set q : 'I_W | touches s m V p q] (fun q => base q (view s x q))) => //.
  move=> q k; rewrite inE -touches_meets // => apart; apply: ext => i j; rewrite /view.
  case: ifP => // qj; rewrite same //; apply: contra apart => jp.
  by apply/existsP; exists j; rewrite qj.
move=> k kK kc; have := okp k; rewrite mem_iota kK (negPf kc) => /(_ isT) /=.
rewrite !total_sum struck_card /Votes.count /inside.
have e j : \sum_(q : 'I_W | predT (q : nat)) vote V q j = \sum_q base q (view s x q) j.
  by apply: eq_bigr => q _; rewrite seen.
have e' j : \sum_(q : 'I_W | touches s m V p q) vote V q j =
    \sum_(q in [set q : 'I_W | touches s m V p q]) base q (view s x q) j.
  by apply: eq_big => q; rewrite ?inE // => _; rewrite seen.
by rewrite !e !e'.
Qed.

End Soundness.
