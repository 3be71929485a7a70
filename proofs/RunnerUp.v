(* The certificate that knows a runner-up: bounds of several classes at once, and the worst case of two tests.
   Book: prop-runner-up, eq-radius. *)
From mathcomp Require Import all_ssreflect all_algebra ring.
From Formal Require Import Binomial NeymanPearson.
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.
Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Classes.

(* n independent votes, each for one of finitely many classes. *)
Variables (R : realFieldType) (C : finType) (q : C -> R).
Hypotheses (q_ge0 : forall c, 0 <= q c) (q_one : \sum_c q c = 1).
Implicit Types E : pred (seq C).

Definition chance (w : seq C) : R := \prod_(c <- w) q c.
Definition PrC n E : R := \sum_(w : n.-tuple C | E w) chance w.
Definition votes_for (c : C) (w : seq C) := count (pred1 c) w.

Lemma PrC0 E : PrC 0 E = (E [::])%:R.
Proof.
rewrite /PrC big_mkcond (big_pred1 [tuple]) => [/=|w]; last by apply/esym/eqP/val_inj; rewrite [w]tuple0.
by rewrite /chance big_nil; case: (E _).
Qed.

Lemma PrCS n E : PrC n.+1 E = \sum_c q c * PrC n (fun w => E (c :: w)).
Proof.
pose tcons (cw : C * n.-tuple C) := [tuple of cw.1 :: cw.2].
pose tsplit (w : n.+1.-tuple C) := (thead w, [tuple of behead w]).
have tK : cancel tsplit tcons by move=> w; rewrite /tcons /tsplit /= -tuple_eta.
have Kt : cancel tcons tsplit.
  by case=> c w; rewrite /tcons /tsplit /= theadE; congr (_, _); apply: val_inj.
rewrite /PrC (reindex tcons) /=; last by exists tsplit => w _; rewrite ?tK ?Kt.
rewrite -(pair_big_dep xpredT (fun c (w : n.-tuple C) => E (c :: w))
           (fun c (w : n.-tuple C) => chance (c :: w))) /=.
by apply: eq_bigr => c _; rewrite mulr_sumr; apply: eq_bigr => w _; rewrite /chance big_cons.
Qed.

Lemma q_le1 c : 0 <= q c <= 1.
Proof. by rewrite q_ge0 -q_one (bigD1 c) //= ler_addl sumr_ge0. Qed.

(** The votes for one class are as many as independent votes of its probability: what is said of these
    holds of them. *)
Theorem votes_for_one c n (E : pred nat) : PrC n (fun w => E (votes_for c w)) = Pr (q c) n (fun w => E (votes w)).
Proof.
elim: n E => [|n IH] E; first by rewrite PrC0 Pr0.
rewrite PrCS PrS (bigD1 c) //= {1}/votes_for /= eqxx; congr (_ * _ + _).
  exact: (IH (fun k => E k.+1)).
rewrite (_ : 1 - q c = \sum_(d | d != c) q d) ?mulr_suml; last first.
  by rewrite -q_one [X in X - _](bigD1 c) //= addrAC subrr add0r.
by apply: eq_bigr => d dc; congr (_ * _); rewrite -(IH E) /PrC; apply: eq_bigl => w /=; rewrite /votes_for /= (negPf dc).
Qed.

Lemma chance_ge0 w : 0 <= chance w.
Proof. by apply: prodr_ge0 => c _. Qed.

Lemma PrC_sub n E E' : (forall w, size w = n -> E w -> E' w) -> PrC n E <= PrC n E'.
Proof.
move=> sub; rewrite /PrC big_mkcond [X in _ <= X]big_mkcond /=; apply: ler_sum => w _.
by case: ifP => [/(sub _ (size_tuple w))->//|_]; case: ifP => // _; exact: chance_ge0.
Qed.

Lemma PrC_or n E E' : PrC n (fun w => E w || E' w) <= PrC n E + PrC n E'.
Proof.
rewrite /PrC big_mkcond [X in _ <= X + _]big_mkcond [X in _ <= _ + X]big_mkcond -big_split /=.
apply: ler_sum => w _.
by case: (E w); case: (E' w); rewrite /= ?addr0 ?add0r // ler_addl chance_ge0.
Qed.

(* u is an upper bound of level alpha if 1 - u is a lower bound for the votes against. *)
Definition upper_bound n (u : nat -> R) alpha := lower_bound n (fun k => 1 - u (n - k)%N) alpha.

Lemma Pr_negb (p : R) n (E : pred (seq bool)) : Pr (1 - p) n (fun w => E (map negb w)) = Pr p n E.
Proof.
elim: n E => [|n IH] E; first by rewrite !Pr0.
by rewrite !PrS /= (IH (fun w => E (false :: w))) (IH (fun w => E (true :: w))) subKr addrC.
Qed.

Lemma votes_against (p : R) n (E : pred nat) :
  Pr p n (fun w => E (votes w)) = Pr (1 - p) n (fun w => E (n - votes w)%N).
Proof.
rewrite -[LHS]Pr_negb; apply: eq_Pr => w <-; congr E.
by rewrite /votes count_map -(count_predC id w) addKn.
Qed.

(** Of the class a a lower bound of level alpha_a; of any other class b, say the most likely one, an upper
    bound of level alpha_b, at the largest number of votes that any other class has, whichever that is: both hold,
    but with probability at most alpha_a + alpha_b, however many classes there are.
    Book: prop-runner-up. *)
Theorem bounds_at_once a b n (l u : nat -> R) alpha_a alpha_b : 0 <= alpha_a -> 0 <= alpha_b -> b != a ->
  lower_bound n l alpha_a -> upper_bound n u alpha_b -> (forall i j, (i <= j <= n)%N -> u i <= u j) ->
  PrC n (fun w => (q a < l (votes_for a w)) || (u (\max_(c | c != a) votes_for c w) < q b))
    <= alpha_a + alpha_b.
Proof.
move=> a0 b0 ba low up mono; apply: le_trans (PrC_or _ _ _) _; apply: ler_add.
  by rewrite (votes_for_one a n (fun k => q a < l k)) clopper_pearson ?q_le1.
apply: (@le_trans _ _ (PrC n (fun w => u (votes_for b w) < q b))).
  apply: PrC_sub => w sw; apply: le_lt_trans; apply: mono; rewrite (bigmax_sup b) //=.
  by apply/bigmax_leqP => c _; rewrite -sw; exact: count_size.
rewrite (votes_for_one b n (fun k => u k < q b)) (votes_against _ _ (fun k => u k < q b)).
rewrite (@eq_Pr _ _ _ _ (fun w => 1 - q b < 1 - u (n - votes w)%N)); last first.
  by move=> w _; rewrite ltr_subr_addl addrCA gtr_addl subr_lt0.
have /andP[q0 q1] := q_le1 b; apply: (@clopper_pearson _ n (fun k => 1 - u (n - k)%N)) => //.
by rewrite subr_ge0 q1 ler_subl_addr ler_addl.
Qed.

End Classes.

Section WorstCase.

Variables (R : realFieldType) (I : finType) (P Q : I -> R).
Hypotheses (P_ge0 : forall i, 0 <= P i) (Q_ge0 : forall i, 0 <= Q i).
Hypotheses (P_one : \sum_i P i = 1) (Q_one : \sum_i Q i = 1).

Lemma mass_not (M h : I -> R) : \sum_i M i = 1 -> mass M (fun i => 1 - h i) = 1 - mass M h.
Proof. by move=> one; rewrite /mass -[X in _ = X - _]one -sumrB; apply: eq_bigr => i _; rewrite mulrBl mul1r. Qed.

(** Of two tests, one of P-mass at least pa and the other of P-mass at most pb: if the least Q-mass of pa and
    the least of 1 - pb, cheapest first, exceed 1 together, the first has the larger Q-mass. *)
Theorem runner_up (ha hb : I -> R) pa pb : test ha -> test hb -> 0 <= pa <= 1 -> 0 <= pb <= 1 ->
  pa <= mass P ha -> mass P hb <= pb ->
  1 < mass Q (worst P Q pa) + mass Q (worst P Q (1 - pb)) -> mass Q hb < mass Q ha.
Proof.
move=> ta tb pa01 /andP[b0 b1] Pa Pb more.
have la : mass Q (worst P Q pa) <= mass Q ha by apply: worst_optimal; rewrite ?P_one.
have lb : mass Q (worst P Q (1 - pb)) <= mass Q (fun i => 1 - hb i).
  apply: worst_optimal => //.
  - by rewrite P_one subr_ge0 b1 ler_subl_addr ler_addl.
  - by move=> i; have /andP[t0 t1] := tb i; rewrite subr_ge0 t1 ler_subl_addr ler_addl.
  by rewrite mass_not // ler_sub.
move: lb; rewrite mass_not // => lb.
by have := lt_le_trans more (ler_add la lb); rewrite addrCA ltr_addl subr_gt0.
Qed.

End WorstCase.
