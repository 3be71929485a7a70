(* Independent votes, the binomial tail, and what a Clopper-Pearson bound promises.
   Book: thm-clopper-pearson, thm-certify, and the coupling of prop-coupling. *)
From mathcomp Require Import all_ssreflect all_algebra ring.
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.
Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Votes.

Variable R : realFieldType.
Implicit Types (p : R) (E : pred (seq bool)).

(* The probability of an event of n independent votes, each 1 with probability p: a finite sum. *)
Definition weight p (w : seq bool) : R := \prod_(b <- w) (if b then p else 1 - p).
Definition Pr p n E : R := \sum_(w : n.-tuple bool | E w) weight p w.

Lemma Pr0 p E : Pr p 0 E = (E [::])%:R.
Proof.
rewrite /Pr big_mkcond (big_pred1 [tuple]) => [/=|w]; last by apply/esym/eqP/val_inj; rewrite [w]tuple0.
by rewrite /weight big_nil; case: (E _).
Qed.

Lemma PrS p n E :
  Pr p n.+1 E = p * Pr p n (fun w => E (true :: w)) + (1 - p) * Pr p n (fun w => E (false :: w)).
Proof.
pose tcons (bw : bool * n.-tuple bool) := [tuple of bw.1 :: bw.2].
pose tsplit (w : n.+1.-tuple bool) := (thead w, [tuple of behead w]).
have tK : cancel tsplit tcons by move=> w; rewrite /tcons /tsplit /= -tuple_eta.
have Kt : cancel tcons tsplit.
  by case=> b w; rewrite /tcons /tsplit /= theadE; congr (_, _); apply: val_inj.
rewrite /Pr (reindex tcons) /=; last by exists tsplit => w _; rewrite ?tK ?Kt.
rewrite -(pair_big_dep xpredT (fun b (w : n.-tuple bool) => E (b :: w))
           (fun b (w : n.-tuple bool) => weight p (b :: w))) /=.
rewrite big_bool /= !mulr_sumr; congr (_ + _); apply: eq_bigr => w _;
by rewrite /weight big_cons.
Qed.

Lemma eq_Pr p n E E' : (forall w, size w = n -> E w = E' w) -> Pr p n E = Pr p n E'.
Proof. by move=> eqE; apply: eq_bigl => w; rewrite eqE // size_tuple. Qed.

Section Level.

Variable p : R.
Hypothesis p01 : 0 <= p <= 1.

Lemma weight_ge0 w : 0 <= weight p w.
Proof. by case/andP: p01 => p0 p1; apply: prodr_ge0 => -[] _; rewrite ?subr_ge0. Qed.

Lemma Pr_ge0 n E : 0 <= Pr p n E.
Proof. by apply: sumr_ge0 => w _; apply: weight_ge0. Qed.

Lemma Pr_sub n E E' : (forall w, size w = n -> E w -> E' w) -> Pr p n E <= Pr p n E'.
Proof.
move=> sub; rewrite /Pr big_mkcond [X in _ <= X]big_mkcond; apply: ler_sum => w _.
case: ifP => [/(sub _ (size_tuple w))->//|_]; case: ifP => // _; exact: weight_ge0.
Qed.

Lemma Pr_total n : Pr p n xpredT = 1.
Proof.
elim: n => [|n IH]; first by rewrite Pr0.
by rewrite PrS !IH !mulr1 addrC subrK.
Qed.

Lemma Pr_le1 n E : Pr p n E <= 1.
Proof. by rewrite -(Pr_total n); apply: Pr_sub. Qed.

End Level.

(* prop-coupling, for any event that more votes cannot undo. *)
Definition increasing E := forall w w', all2 implb w w' -> E w -> E w'.

Lemma all2_refl (w : seq bool) : all2 implb w w.
Proof. by elim: w => //= -[]. Qed.

(** An event of n votes that more votes cannot undo does not lose probability when p grows.
    Book: prop-coupling. *)
Theorem Pr_mono p q n E : 0 <= p -> p <= q -> q <= 1 -> increasing E -> Pr p n E <= Pr q n E.
Proof.
move=> p0 pq q1; elim: n E => [|n IH] E inc; first by rewrite !Pr0.
rewrite !PrS.
have incT b : increasing (fun w => E (b :: w)).
  by move=> w w' le; apply: inc; rewrite /= implybb.
have p01 : 0 <= p <= 1 by rewrite p0 (le_trans pq).
have step : Pr p n (fun w => E (false :: w)) <= Pr p n (fun w => E (true :: w)).
  by apply: Pr_sub => // w _; apply: inc; rewrite /= all2_refl.
apply: (@le_trans _ _ (q * Pr p n (fun w => E (true :: w)) +
                      (1 - q) * Pr p n (fun w => E (false :: w)))).
  move: step; set b := Pr p n (fun w => E (false :: w)); set a := Pr p n _ => step.
  rewrite -subr_ge0.
  have -> : q * a + (1 - q) * b - (p * a + (1 - p) * b) = (q - p) * (a - b) by ring.
  by rewrite mulr_ge0 ?subr_ge0.
apply: ler_add; apply: ler_wpmul2l; rewrite ?subr_ge0 ?IH //.
exact: le_trans p0 pq.
Qed.

(* The number of votes is binomial. *)
Definition pmf p n k : R := 'C(n, k)%:R * p ^+ k * (1 - p) ^+ (n - k).
Definition votes (w : seq bool) := count id w.

(** The number of n independent votes of probability p is binomial. *)
Theorem Pr_count p n k : Pr p n (fun w => votes w == k) = pmf p n k.
Proof.
elim: n k => [|n IH] k; first by rewrite Pr0 /pmf /= bin0n expr0 mulr1; case: k => [|k]; rewrite ?mul1r ?mul0r.
rewrite PrS /pmf; case: k => [|k].
  rewrite (@eq_Pr _ _ _ (fun=> false)) => [|w _]; last by rewrite /votes /= add1n.
  rewrite {1}/Pr big1 // mulr0 add0r (eq_Pr _ (E' := fun w => votes w == 0%N)) // IH /pmf.
  by rewrite !bin0 !subn0 !expr0 !mul1r exprS.
rewrite (eq_Pr _ (E' := fun w => votes w == k)) => [|w _]; last by rewrite /votes /= add1n eqSS.
rewrite (@eq_Pr _ _ (fun w => votes (false :: w) == k.+1) (fun w => votes w == k.+1)) // !IH /pmf.
rewrite subSS binS natrD; have [kn|nk|<-] := ltngtP k n.
- rewrite -(subnSK kn) !exprS; ring.
- by rewrite !bin_small ?(leqW nk) // !mulr0n addr0 !mul0r !mulr0 addr0.
by rewrite binn bin_small // subnn expr0 mulr0n add0r mulr1n !mul0r mulr0 addr0 !mulr1 !mul1r exprS.
Qed.

Definition tail p n k : R := Pr p n (fun w => k <= votes w)%N.

Lemma tailE p n k : tail p n k = \sum_(j < n.+1 | (k <= j)%N) pmf p n j.
Proof.
rewrite /tail /Pr (partition_big (fun w : n.-tuple bool => inord (votes w) : 'I_n.+1) (fun j : 'I_n.+1 => (k <= j)%N)) /=.
  apply: eq_bigr => j kj; rewrite -Pr_count /Pr; apply: eq_bigl => w.
  have le : (votes w <= n)%N by rewrite -[X in (_ <= X)%N](size_tuple w) count_size.
  rewrite -val_eqE /= inordK ?ltnS //; apply/andP/eqP => [[_ /eqP//]|->]; by rewrite kj eqxx.
move=> w; have le : (votes w <= n)%N by rewrite -[X in (_ <= X)%N](size_tuple w) count_size.
by rewrite inordK ?ltnS.
Qed.

Lemma votes_incr k : increasing (fun w => k <= votes w)%N.
Proof.
move=> w w' le kw; apply: leq_trans kw _; elim: w w' le => [|b w IH] [|b' w'] //= /andP[bb le].
by rewrite leq_add ?IH //; case: b b' bb => -[].
Qed.

(* thm-clopper-pearson, validity: a bound l(k) that leaves the tail from k on at most alpha. *)
Definition lower_bound n (l : nat -> R) alpha :=
  forall k, (k <= n)%N -> l k <= 0 \/ l k <= 1 /\ tail (l k) n k <= alpha.

(** Let l(k) be at most 0, or at most 1 and such that k or more of n votes have probability at most alpha
    under l(k), for every count k. Then, whatever p is, the bound l(K) of the count K exceeds p with
    probability at most alpha.
    Book: thm-clopper-pearson. *)
Theorem clopper_pearson n l alpha p : 0 <= alpha -> lower_bound n l alpha -> 0 <= p <= 1 ->
  Pr p n (fun w => p < l (votes w)) <= alpha.
Proof.
move=> a0 lb p01; have /andP[p0 p1] := p01.
have [/existsP[k0 pk0]|none] := boolP [exists k : 'I_n.+1, p < l k]; last first.
  rewrite {1}/Pr big1 // => w pw; case/existsP: none.
  have le : (votes w < n.+1)%N by rewrite ltnS -[X in (_ <= X)%N](size_tuple w) count_size.
  by exists (Ordinal le).
have ex : exists k, (k <= n)%N && (p < l k) by exists k0; rewrite pk0 -ltnS ltn_ord.
case: (ex_minnP ex) => k /andP[kn pk] mink.
case: (lb k kn) => [l0|[l1 ta]]; first by have := le_lt_trans (le_trans l0 p0) pk; rewrite ltxx.
apply: le_trans ta; apply: le_trans (Pr_mono n p0 (ltW pk) l1 (@votes_incr k)).
apply: Pr_sub => // w sw pw; apply: mink; rewrite pw andbT -sw; exact: count_size.
Qed.

(** If a lower bound l of level alpha never falls with the count and exceeds p at the count k, then k or
    more votes have probability at most alpha under p. So none exceeds the largest such p.
    Book: thm-clopper-pearson. *)
Theorem clopper_pearson_best n l alpha k p : 0 <= p <= 1 -> (k <= n)%N ->
  (forall i j, (i <= j <= n)%N -> l i <= l j) -> Pr p n (fun w => p < l (votes w)) <= alpha ->
  p < l k -> tail p n k <= alpha.
Proof.
move=> p01 kn mono valid pk; apply: le_trans valid; apply: Pr_sub => // w sw kw.
by apply: lt_le_trans pk (mono _ _ _); rewrite kw -sw count_size.
Qed.

(** If the class is chosen from other samples, by any law on finitely many outcomes, and its votes are
    counted afresh, the bound of clopper_pearson exceeds that class's own probability with probability
    at most alpha.
    Book: thm-certify. *)
Theorem certify (O : finType) (mu : O -> R) (C : Type) (chosen : O -> C) (g : C -> R)
    n l alpha : 0 <= alpha -> (forall o, 0 <= mu o) -> \sum_o mu o = 1 ->
  (forall c, 0 <= g c <= 1) -> lower_bound n l alpha ->
  \sum_o mu o * Pr (g (chosen o)) n (fun w => g (chosen o) < l (votes w)) <= alpha.
Proof.
move=> a0 mu0 mu1 g01 lb; apply: (@le_trans _ _ (\sum_o mu o * alpha)); last first.
  by rewrite -mulr_suml mu1 mul1r.
by apply: ler_sum => o _; rewrite ler_wpmul2l ?clopper_pearson.
Qed.

End Votes.
