(* The Neyman-Pearson lemma on finitely many outcomes, and the algorithm that fills cheapest first.
   Book: thm-np-finite; the Python function is certificates.neyman_pearson.worst_case. *)
From mathcomp Require Import all_ssreflect all_algebra ring.
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.
Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Finite.

Variables (R : realFieldType) (I : finType) (P Q : I -> R).
Hypotheses (P_ge0 : forall i, 0 <= P i) (Q_ge0 : forall i, 0 <= Q i).

Definition test (h : I -> R) := forall i, 0 <= h i <= 1.
Definition mass (M h : I -> R) := \sum_i h i * M i.

(* h takes all that is cheaper than t and nothing that is dearer. *)
Definition threshold (t : R) (h : I -> R) :=
  forall i, (Q i < t * P i -> h i = 1) /\ (t * P i < Q i -> h i = 0).

(** Of all tests h of finitely many outcomes with at least the P-mass of a threshold test h0, none has
    less Q-mass than h0.
    Book: thm-np-finite. *)
Theorem neyman_pearson t h0 h : 0 <= t -> test h0 -> test h -> threshold t h0 ->
  mass P h0 <= mass P h -> mass Q h0 <= mass Q h.
Proof.
move=> t0 th0 th thr Ph.
have pointwise i : 0 <= (h i - h0 i) * (Q i - t * P i).
  have [lo hi] := thr i; have /andP[h_ge0 h_le1] := th i.
  case: (ltrgtP (Q i) (t * P i)) => [c|c|->]; last by rewrite subrr mulr0.
    by rewrite lo // nmulr_lge0 ?subr_lt0 // subr_le0.
  by rewrite hi // pmulr_lge0 ?subr_gt0 // subr_ge0.
rewrite -subr_ge0 (@le_trans _ _ (t * (mass P h - mass P h0))) ?mulr_ge0 ?subr_ge0 //.
rewrite -subr_ge0 /mass -!sumrB mulr_sumr -sumrB sumr_ge0 // => i _.
have -> // : h i * Q i - h0 i * Q i - t * (h i * P i - h0 i * P i) = (h i - h0 i) * (Q i - t * P i).
by ring.
Qed.

(* The algorithm: of the outcomes s, in this order, each is filled as far as it goes. *)
Fixpoint fill (p : R) (s : seq I) (i : I) : R :=
  if s is j :: s' then
    let h := Num.min 1 (p / P j) in
    if i == j then h else fill (p - h * P j) s' i
  else 0.

Definition price i := Q i / P i.
Definition cheaper i j := price i <= price j.
Definition order := sort cheaper [seq i <- enum I | 0 < P i].
Definition worst p := fill p order.

Lemma fill0 s i : fill 0 s i = 0.
Proof.
elim: s => //= j s IH; rewrite mul0r; have -> : Num.min 1 0 = 0 :> R by rewrite minElt ltr10.
by rewrite mul0r subr0 IH if_same.
Qed.

Lemma fill_notin p s i : i \notin s -> fill p s i = 0.
Proof. by elim: s p => //= j s IH p; rewrite inE negb_or => /andP[/negPf-> /IH->]. Qed.

Lemma fill_step p j : 0 < P j -> 0 <= p ->
  Num.min 1 (p / P j) = if p <= P j then p / P j else 1.
Proof.
move=> Pj p0; rewrite minEle ler_pdivl_mulr // mul1r.
by case: (ltgtP p (P j)) => // ->; rewrite divff ?gt_eqF.
Qed.

Lemma fill_test p s : 0 <= p -> all (fun i => 0 < P i) s -> test (fill p s).
Proof.
elim: s p => [|j s IH] p p0 /=; first by move=> _ i; rewrite lexx ler01.
case/andP=> Pj Ps i; rewrite fill_step //; case: (leP p (P j)) => pP.
  rewrite divfK ?gt_eqF // subrr fill0; case: eqP => _; last by rewrite lexx ler01.
  by rewrite divr_ge0 ?(ltW Pj) //= ler_pdivr_mulr // mul1r.
rewrite mul1r; case: eqP => _; first by rewrite ler01 lexx.
by apply: IH; rewrite ?subr_ge0 ?(ltW pP).
Qed.

Lemma fill_mass p s : uniq s -> all (fun i => 0 < P i) s -> 0 <= p <= \sum_(i <- s) P i ->
  \sum_(i <- s) fill p s i * P i = p.
Proof.
elim: s p => [|j s IH] p /=.
  by rewrite !big_nil => _ _ /le_anti.
rewrite !big_cons eqxx => /andP[js us] /andP[Pj Ps] /andP[p0 pS].
rewrite (eq_big_seq (fun i => fill (p - Num.min 1 (p / P j) * P j) s i * P i)); last first.
  by move=> i si; case: eqP => // ij; rewrite -ij si in js.
rewrite fill_step //; case: (leP p (P j)) => pP.
  rewrite divfK ?gt_eqF // subrr big1 ?addr0 // => i _; by rewrite fill0 mul0r.
by rewrite mul1r IH // ?subr_ge0 ?(ltW pP) ?ler_subl_addl // addrC subrK.
Qed.

Lemma cheaper_trans : transitive cheaper.
Proof. by move=> j i k; apply: le_trans. Qed.

Lemma fill_threshold j s p : path cheaper j s -> uniq (j :: s) -> all (fun i => 0 < P i) (j :: s) ->
  0 <= p ->
  exists2 k, k \in j :: s & forall i, i \in j :: s ->
    (price i < price k -> fill p (j :: s) i = 1) /\ (price k < price i -> fill p (j :: s) i = 0).
Proof.
elim: s j p => [|l s IH] j p srt uni pos p0.
  by exists j; rewrite ?mem_head // => i; rewrite inE => /eqP->; rewrite ltxx.
have below i : i \in j :: l :: s -> price j <= price i.
  rewrite inE => /orP[/eqP->|]; first exact: lexx.
  by move: i; apply/allP; apply: order_path_min srt; apply: cheaper_trans.
move: (pos) (uni) (srt) => /andP[Pj Ps] /andP[js us] /andP[jl pl].
have := fill_step Pj p0; case: (leP p (P j)) => pP hE.
  exists j; first exact: mem_head.
  move=> i si; split; first by rewrite ltNge below.
  have -> : fill p (j :: l :: s) i = if i == j then Num.min 1 (p / P j) else
    fill (p - Num.min 1 (p / P j) * P j) (l :: s) i by [].
  by case: eqP => [->|_]; rewrite ?ltxx // hE divfK ?gt_eqF // subrr fill0.
have [|k ks thr] := IH l (p - P j) pl us Ps; first by rewrite subr_ge0 ltW.
exists k; first by rewrite inE ks orbT.
move=> i si.
have -> : fill p (j :: l :: s) i = if i == j then Num.min 1 (p / P j) else
  fill (p - Num.min 1 (p / P j) * P j) (l :: s) i by [].
rewrite hE mul1r; case: eqP si => [-> _|/eqP ij].
  by split=> //; rewrite ltNge below // inE ks orbT.
by rewrite inE (negPf ij) => /thr.
Qed.

Lemma order_pos : all (fun i => 0 < P i) order.
Proof. by rewrite all_sort filter_all. Qed.

Lemma order_uniq : uniq order.
Proof. by rewrite sort_uniq filter_uniq ?enum_uniq. Qed.

Lemma mem_order i : (i \in order) = (0 < P i).
Proof. by rewrite mem_sort mem_filter mem_enum inE andbT. Qed.

Lemma sum_order (h : I -> R) : \sum_(i <- order) h i * P i = mass P h.
Proof.
rewrite (perm_big [seq i <- enum I | 0 < P i]) ?perm_sort //= big_filter big_enum_cond /=.
rewrite /mass [RHS](bigID (fun i => 0 < P i)) /= [X in _ = _ + X]big1 ?addr0 // => i.
by rewrite lt_def P_ge0 andbT negbK => /eqP->; rewrite mulr0.
Qed.

(** What the algorithm fills is a test: every share lies in [0, 1].
    Book: thm-np-finite. *)
Theorem worst_test p : 0 <= p -> test (worst p).
Proof. by move=> p0; apply: fill_test order_pos. Qed.

(** The test of the algorithm has P-mass p.
    Book: thm-np-finite. *)
Theorem worst_mass p : 0 <= p <= \sum_i P i -> mass P (worst p) = p.
Proof.
move=> pP; rewrite -sum_order fill_mass ?order_uniq ?order_pos //.
have := sum_order (fun=> 1); rewrite /mass; under eq_bigr do rewrite mul1r.
by under [RHS]eq_bigr do rewrite mul1r; move=> ->.
Qed.

(** No test of P-mass at least p has less Q-mass than the one that the algorithm fills, cheapest first.
    Book: thm-np-finite. *)
Theorem worst_optimal p h : 0 <= p <= \sum_i P i -> test h -> p <= mass P h ->
  mass Q (worst p) <= mass Q h.
Proof.
move=> pP th Ph; have /andP[p0 _] := pP.
have [t t0 thr] : exists2 t, 0 <= t & threshold t (worst p).
  case E: order => [|j s].
    have P0 i : P i = 0.
      apply/eqP; have := mem_order i; rewrite E in_nil lt_def P_ge0 andbT.
      by move/esym/negbFE.
    exists 0 => // i; split; rewrite mul0r ?ltNge ?Q_ge0 //.
    by rewrite /worst E.
  have := sort_sorted (fun i k => le_total (price i) (price k)) [seq i <- enum I | 0 < P i].
  have := order_uniq; have := order_pos; rewrite -/order E => pos uni srt.
  have [k ks thr] := fill_threshold srt uni pos p0.
  have Pk : 0 < P k by rewrite -mem_order E.
  exists (price k); first by rewrite divr_ge0.
  move=> i; rewrite /worst E; have [si|si] := boolP (i \in j :: s).
    have Pi : 0 < P i by rewrite -mem_order E.
    have [lo hi] := thr i si; split=> [c|c]; [apply: lo | apply: hi].
      by rewrite {1}/price ltr_pdivr_mulr.
    by rewrite {2}/price ltr_pdivl_mulr.
  have -> : P i = 0.
    apply/eqP; have := mem_order i; rewrite E (negPf si) lt_def P_ge0 andbT.
    by move/esym/negbFE.
  by rewrite mulr0 ltNge Q_ge0; split=> // _; apply: fill_notin.
apply: (neyman_pearson t0 (worst_test p0) th thr); by rewrite worst_mass.
Qed.

End Finite.
