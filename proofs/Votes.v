(* The certificates by counts and by positions, and that neither can be improved.
   Book: thm-dp-counts, prop-dp-tight, thm-dp-positions; and the same lemma for partitions. *)
From mathcomp Require Import all_ssreflect zify.
From Formal Require Import Bands.
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.

(* The class of most votes, the smallest index among equals: numpy's argmax. *)
Definition answer (v : seq nat) : nat := index (\max_(x <- v) x) v.

Definition wins (K : nat) (n : nat -> nat) (c : nat) :=
  forall k, k < K -> k != c -> n k + (k < c) <= n c.

Section Argmax.

Variables (K : nat) (n : nat -> nat).

Let top := \max_(x <- mkseq n K) x.

Lemma le_top k : k < K -> n k <= top.
Proof. by move=> kK; rewrite /top big_map; apply: (@leq_bigmax_seq _ _ xpredT n); rewrite ?mem_iota. Qed.

Lemma top_reached : 0 < K -> exists2 k, k < K & n k = top.
Proof.
rewrite /top big_map => K_gt0; case: K K_gt0 => // K' _.
rewrite -[iota _ _]/(index_iota 0 K'.+1) big_mkord.
by case: (@eq_bigmax _ (fun i : 'I_K'.+1 => n i)) => [|i ->]; [rewrite card_ord | exists i].
Qed.

(** The answer is the class c exactly if c has more votes than every class of a smaller index and at
    least as many as every class of a larger one. *)
Theorem answerP c : c < K -> answer (mkseq n K) = c <-> wins K n c.
Proof.
move=> c_lt; rewrite /answer -/top; split=> [<-|win].
  have [t tK nt] := top_reached (leq_ltn_trans (leq0n c) c_lt).
  have topin : top \in mkseq n K by rewrite -nt; apply/mapP; exists t; rewrite ?mem_iota.
  have ilt : index top (mkseq n K) < K by rewrite -{2}(size_mkseq n K) index_mem.
  have ni : n (index top (mkseq n K)) = top by rewrite -{2}(nth_index 0 topin) nth_mkseq.
  move=> k kK kne; rewrite ni; case: ltnP => [klt|_]; last by rewrite addn0 le_top.
  have /= := before_find 0 klt; rewrite nth_mkseq // => /negbT ne.
  by rewrite addn1 ltn_neqAle ne le_top.
have nc : n c = top.
  have [t tK nt] := top_reached (leq_ltn_trans (leq0n c) c_lt).
  apply/eqP; rewrite eqn_leq le_top //= -nt; have [->//|tc] := eqVneq t c.
  by apply: leq_trans (win t tK tc); rewrite leq_addr.
apply/eqP; rewrite eqn_leq; apply/andP; split.
  rewrite leqNgt; apply/negP => clt; have /= := before_find 0 clt.
  by rewrite nth_mkseq // nc eqxx.
rewrite leqNgt; apply/negP => ilt; set i := index _ _ in ilt.
have iK := ltn_trans ilt c_lt.
have ni : n i = top.
  by rewrite -(nth_mkseq 0 n iK) nth_index // -index_mem size_mkseq.
by have := win i iK; rewrite ni nc ilt addn1 ltnn neq_ltn ilt => /(_ isT).
Qed.

End Argmax.

Section Votes.

Variables (Q : finType) (K : nat).   (* positions, and classes 0 ... K - 1 *)
Implicit Types (f : Q -> nat -> bool) (A : {set Q}).

(* Any number of votes of a position: a set of classes, as with a threshold. *)
Definition count f k := \sum_q f q k.
Definition inside f A k := \sum_(q in A) f q k.
Definition ans f := answer (mkseq (count f) K).

Definition agree A f f' := forall q k, q \notin A -> f q k = f' q k.

Lemma countD f A k : count f k = inside f A k + \sum_(q in ~: A) f q k.
Proof.
by rewrite /count (bigID (mem A)) /=; congr (_ + _); apply: eq_bigl => q; rewrite inE.
Qed.

Lemma inside_le f A k : inside f A k <= #|A|.
Proof. by rewrite -sum1_card; apply: leq_sum => q _; case: (f q k). Qed.

Lemma outside_agree A f f' k :
  agree A f f' -> \sum_(q in ~: A) f q k = \sum_(q in ~: A) f' q k.
Proof. by move=> eqf; apply: eq_bigr => q; rewrite inE => /eqf->. Qed.

(** Let the votes f' agree with f outside the positions A. If c wins under f even when all its votes in A
    are lost and every vote of A goes to the rival, for each rival, then the answer of f' is c.
    Book: thm-dp-positions. *)
Theorem positions_sound A f f' c : c < K -> agree A f f' ->
  (forall k, k < K -> k != c ->
     count f k + inside f A c + #|A| + (k < c) <= count f c + inside f A k) ->
  ans f' = c.
Proof.
move=> cK eqf cert; apply/answerP => // k kK kc.
have := cert k kK kc; rewrite !(countD _ A) -!(outside_agree _ eqf).
have := inside_le f' A k; lia.
Qed.

(** Let the votes f' agree with f outside at most D positions. If c leads every class by 2 D votes, and
    by one more where that class has the smaller index, then the answer of f' is c.
    Book: thm-dp-counts. *)
Theorem counts_sound A D f f' c : c < K -> agree A f f' -> #|A| <= D ->
  (forall k, k < K -> k != c -> count f k + (k < c) + 2 * D <= count f c) ->
  ans f' = c.
Proof.
move=> cK eqf AD cert; apply: (positions_sound cK eqf) => k kK kc.
by have := cert k kK kc; have := inside_le f A c; lia.
Qed.

(** If the condition of positions_sound fails for one rival, some votes f' agree with f outside A and
    their answer is not c.
    Book: thm-dp-positions. *)
Theorem positions_tight A f c k : c < K -> k < K -> k != c ->
  count f c + inside f A k < count f k + inside f A c + #|A| + (k < c) ->
  exists2 f', agree A f f' & ans f' != c.
Proof.
move=> cK kK kc fails; exists (fun q j => if q \in A then j == k else f q j).
  by move=> q j qA /=; rewrite (negPf qA).
set f' := fun q j => _.
have eqf : agree A f f' by move=> q j qA; rewrite /f' (negPf qA).
have ik : inside f' A k = #|A|.
  by rewrite /inside -sum1_card; apply: eq_bigr => q qA; rewrite /f' qA eqxx.
have ic : inside f' A c = 0.
  by rewrite /inside big1 // => q qA; rewrite /f' qA eq_sym (negPf kc).
apply/eqP => /(answerP _ cK) /(_ k kK kc).
rewrite !(countD _ A) ik ic -!(outside_agree _ eqf); move: fails; rewrite !(countD _ A); lia.
Qed.

(* Sets of a given size that are filled from A first. *)
Definition fill_from A n : {set Q} := [set q in take n (enum A ++ enum (~: A))].

Lemma order_uniq A : uniq (enum A ++ enum (~: A)).
Proof.
rewrite cat_uniq !enum_uniq andbT /=; apply/hasPn => q; rewrite mem_enum inE => qA.
by have -> : mem (enum A) q = (q \in A) by [rewrite -[LHS]/(q \in enum A) mem_enum].
Qed.

Lemma size_order A : size (enum A ++ enum (~: A)) = #|Q|.
Proof. by rewrite size_cat -!cardE cardsC. Qed.

Lemma card_seq_set (s : seq Q) : uniq s -> #|[set q in s]| = size s.
Proof. by move=> u; rewrite cardsE (card_uniqP u). Qed.

Lemma card_fill A n : n <= #|Q| -> #|fill_from A n| = n.
Proof.
move=> nQ; rewrite card_seq_set ?take_uniq ?order_uniq // size_take size_order.
by case: ltngtP nQ => // ->.
Qed.

Lemma card_fill_in A n : n <= #|Q| -> #|fill_from A n :&: A| = minn n #|A|.
Proof.
move=> nQ; have [nA|An] := leqP n #|A|.
  rewrite (_ : _ :&: A = fill_from A n) ?card_fill //.
  apply/setIidPl/subsetP => q; rewrite inE take_cat -cardE; case: ltnP => [_|An].
    by move/mem_take; rewrite mem_enum.
  have -> : n = #|A| by apply/eqP; rewrite eqn_leq nA.
  by rewrite subnn take0 cats0 mem_enum.
rewrite (_ : _ :&: A = A) //; apply/setIidPr/subsetP => q qA.
by rewrite inE take_cat -cardE ltnNge (ltnW An) /= mem_cat mem_enum qA.
Qed.

Lemma count_set (S : nat -> {set Q}) k : count (fun q j => q \in S j) k = #|S k|.
Proof. by rewrite /count -sum1_card [RHS]big_mkcond; apply: eq_bigr => q _; case: ifP. Qed.

Lemma inside_set (S : nat -> {set Q}) A k :
  inside (fun q j => q \in S j) A k = #|S k :&: A|.
Proof.
rewrite /inside -sum1_card big_mkcond [RHS]big_mkcond; apply: eq_bigr => q _.
by rewrite inE andbC; do 2 case: (_ \in _).
Qed.

(** If the condition of counts_sound fails for one rival, some votes f have these very numbers, and some
    f' that agree with f outside the D positions A have an answer other than c.
    Book: prop-dp-tight. *)
Theorem counts_tight A (N : nat -> nat) c k : c < K -> k < K -> k != c ->
  (forall j, N j <= #|Q|) -> N c < N k + (k < c) + 2 * #|A| ->
  exists f f', [/\ count f =1 N, agree A f f' & ans f' != c].
Proof.
move=> cK kK kc NQ fails.
pose S j := if j == k then fill_from (~: A) (N j) else fill_from A (N j).
pose f q j := q \in S j.
have cf : count f =1 N by move=> j; rewrite count_set /S; case: eqP => _; rewrite card_fill.
have ic : inside f A c = minn (N c) #|A|.
  by rewrite inside_set /S eq_sym (negPf kc) card_fill_in.
have ik : inside f A k + minn (N k) (#|Q| - #|A|) = N k.
  rewrite inside_set {1}/S eqxx -[RHS](card_fill (~: A) (NQ k)).
  rewrite -(cardsID A (fill_from _ _)); congr (_ + _).
  rewrite setDE card_fill_in //; congr minn; have := cardsC A; lia.
case: (@positions_tight A f c k) => //; last by move=> f' ag na; exists f, f'.
rewrite !cf ic; have := NQ k; have := NQ c; have := max_card (mem A); lia.
Qed.

End Votes.

Section Images.

(* The whole chain for bands: a base classifier that sees only the columns of its band, an image,
   and another one that differs from it in a patch of m columns, whatever its rows. *)
Variables (pixel : eqType) (H W s m p K : nat).
Hypotheses (s_gt0 : 0 < s) (m_gt0 : 0 < m) (fits : p + m <= W).

Definition image := 'I_H -> 'I_W -> pixel.
Definition view (x : image) (q : 'I_W) : 'I_H -> 'I_W -> option pixel :=
  fun i c => if in_band W s q c then Some (x i c) else None.

Variable base : 'I_W -> ('I_H -> 'I_W -> option pixel) -> nat -> bool.
Hypothesis base_ext : forall q v v', (forall i c, v i c = v' i c) -> base q v =1 base q v'.

Definition votes (x : image) (q : 'I_W) := base q (view x q).

(** Any base classifier that sees one band at a time: if c leads every class by 2 min(W, s + m - 1) votes
    at x, and by one more where that class has the smaller index, then the answer is c at every x' that
    differs from x in a patch of m columns, whatever its rows.
    Book: thm-dp-counts. *)
Theorem band_certificate (x x' : image) c : c < K ->
  (forall i (j : 'I_W), ~~ in_patch m p j -> x i j = x' i j) ->
  (forall k, k < K -> k != c ->
     count (votes x) k + (k < c) + 2 * minn W (s + m - 1) <= count (votes x) c) ->
  ans K (votes x') = c.
Proof.
move=> cK same; apply: (@counts_sound _ _ [set q : 'I_W | meets W s m p q]) => //.
  move=> q k; rewrite inE => apart; apply: base_ext => i j; rewrite /view.
  case: ifP => // qj; rewrite same //; apply: contra apart => jp.
  by apply/existsP; exists j; rewrite qj.
by rewrite card_meets.
Qed.

End Images.

Section Blocks.

(* The same for blocks of s x s pixels and a patch of a x b. *)
Variables (pixel : eqType) (H W s a b i0 j0 K : nat).
Hypotheses (s_gt0 : 0 < s) (a_gt0 : 0 < a) (b_gt0 : 0 < b).
Hypotheses (rows : i0 + a <= H) (columns : j0 + b <= W).

Definition block_view (x : image pixel H W) (q : 'I_H * 'I_W) : 'I_H -> 'I_W -> option pixel :=
  fun i j => if in_band H s q.1 i && in_band W s q.2 j then Some (x i j) else None.

Variable base : 'I_H * 'I_W -> ('I_H -> 'I_W -> option pixel) -> nat -> bool.
Hypothesis base_ext : forall q v v', (forall i j, v i j = v' i j) -> base q v =1 base q v'.

Definition block_votes (x : image pixel H W) (q : 'I_H * 'I_W) := base q (block_view x q).

(** Any base classifier that sees one block at a time: if c leads every class at x by twice the number
    min(H, s + a - 1) min(W, s + b - 1) of blocks that a patch meets, and by one more where that class
    has the smaller index, then the answer is c at every x' that differs from x in a patch of a x b.
    Book: thm-dp-counts. *)
Theorem block_certificate (x x' : image pixel H W) c : c < K ->
  (forall (i : 'I_H) (j : 'I_W), ~~ (in_patch a i0 i && in_patch b j0 j) -> x i j = x' i j) ->
  (forall k, k < K -> k != c -> count (block_votes x) k + (k < c)
     + 2 * (minn H (s + a - 1) * minn W (s + b - 1)) <= count (block_votes x) c) ->
  ans K (block_votes x') = c.
Proof.
move=> cK same; apply: (@counts_sound _ _ [set q | block_meets s a b i0 j0 q]) => //.
  move=> q k; rewrite inE => apart; apply: base_ext => i j; rewrite /block_view.
  case: ifP => // qij; rewrite same //; apply: contra apart => ij.
  by apply/existsP; exists (i, j); rewrite qij.
by rewrite card_block_meets.
Qed.

End Blocks.

(** Any two tables of votes f and f' that agree on the bands that miss the patch are cast by one base
    classifier, f at x and f' at x', where x and x' differ at every pixel of the patch.  So what
    positions_tight and counts_tight say of votes holds of base classifiers and images.
    Book: thm-dp-positions, prop-dp-tight. *)
Theorem base_exists (pixel : eqType) H W s m p (x x' : image pixel H W) (f f' : 'I_W -> nat -> bool) :
  0 < H -> (forall i (j : 'I_W), in_patch m p j -> x i j != x' i j) ->
  agree [set q : 'I_W | meets W s m p q] f f' ->
  exists base, [/\ forall q v v', (forall i j, v i j = v' i j) -> base q v =1 base q v',
    forall q k, votes s base x q k = f q k & forall q k, votes s base x' q k = f' q k].
Proof.
move=> H0 differ same.
pose base (q : 'I_W) (v : 'I_H -> 'I_W -> option pixel) k :=
  if [forall i, forall j, v i j == view s x q i j] then f q k else f' q k.
exists base; split.
- move=> q v v' vv k; rewrite /base; congr (if _ then _ else _).
  by apply: eq_forallb => i; apply: eq_forallb => j; rewrite vv.
- move=> q k; rewrite /votes /base; case: ifP => // /negP[].
  by apply/forallP => i; apply/forallP => j.
move=> q k; rewrite /votes /base; case: ifP => // /forallP seen.
apply: same; rewrite inE; apply/negP => /existsP[j /andP[qj pj]].
have /forallP/(_ j) := seen (Ordinal H0); rewrite /view qj => /eqP[] e.
by have := differ (Ordinal H0) j pj; rewrite e eqxx.
Qed.
