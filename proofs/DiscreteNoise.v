(* Noise on a finite alphabet: what a worst case depends on.
   Book: prop-dn-merge, thm-dn-dimension (the coordinates that agree drop out). *)
From mathcomp Require Import all_ssreflect all_algebra ring.
From Formal Require Import NeymanPearson.
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.
Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Agreeing.

(* U: what the noise makes of the coordinates that agree, of one law L at both points; V: of the
   others, of the laws P and Q. *)
Variables (R : realFieldType) (U V : finType) (L : U -> R) (P Q : V -> R).
Hypotheses (L_ge0 : forall u, 0 <= L u) (L_total : \sum_u L u = 1).

Definition both (M : V -> R) (o : U * V) : R := L o.1 * M o.2.

Lemma mass_both (M : V -> R) (h : U * V -> R) :
  mass (both M) h = mass M (fun v => \sum_u L u * h (u, v)).
Proof.
rewrite /mass (eq_bigr (fun o => h (o.1, o.2) * both M (o.1, o.2))) => [|[]//].
rewrite -(pair_bigA _ (fun u v => h (u, v) * both M (u, v))) exchange_big /=.
apply: eq_bigr => v _; rewrite mulr_suml; apply: eq_bigr => u _; rewrite /both /=; ring.
Qed.

(** Where x and x' agree the noise drops out: for every test of whole noisy points there is a test of
    the changed coordinates alone with the same two masses.
    Book: thm-dn-dimension. *)
Theorem agreeing_drops (h : U * V -> R) : test h ->
  exists h', [/\ test h', mass P h' = mass (both P) h & mass Q h' = mass (both Q) h].
Proof.
move=> th; exists (fun v => \sum_u L u * h (u, v)); split; rewrite ?mass_both // => v.
apply/andP; split; first by apply: sumr_ge0 => u _; rewrite mulr_ge0 //; case/andP: (th (u, v)).
rewrite -[X in _ <= X]L_total; apply: ler_sum => u _.
by rewrite ler_pimulr //; case/andP: (th (u, v)).
Qed.

(** And a test of the changed coordinates is one of whole points: so the least Q-mass at a given P-mass
    does not depend on how many coordinates agree.
    Book: thm-dn-dimension. *)
Theorem changed_lifts (h' : V -> R) : test h' ->
  [/\ test (fun o : U * V => h' o.2), mass (both P) (fun o => h' o.2) = mass P h'
    & mass (both Q) (fun o => h' o.2) = mass Q h'].
Proof.
have same M : mass (both M) (fun o => h' o.2) = mass M h'.
  by rewrite mass_both; apply: eq_bigr => v _; rewrite /= -mulr_suml L_total mul1r.
by move=> th; split.
Qed.

End Agreeing.

Section Merging.

(* Outcomes that belong to one region have one price. *)
Variables (R : realFieldType) (I J : finType) (P Q : I -> R) (region : I -> J).
Hypotheses (P_ge0 : forall i, 0 <= P i) (Q_ge0 : forall i, 0 <= Q i).

Definition merged (M : I -> R) (j : J) : R := \sum_(i | region i == j) M i.

Hypothesis one_price : forall i, P i * merged Q (region i) = Q i * merged P (region i).

Lemma mass_merged (M : I -> R) (h : J -> R) : mass (merged M) h = mass M (h \o region).
Proof.
rewrite /mass [RHS](partition_big region xpredT) //=; apply: eq_bigr => j _.
by rewrite /merged mulr_sumr; apply: eq_bigr => i /eqP<-.
Qed.

(** Outcomes of one price may be merged: for every test there is one that treats the outcomes of a
    region alike, with the same two masses.
    Book: prop-dn-merge. *)
Theorem merging_loses_nothing (h : I -> R) : test h ->
  exists h', [/\ test h', mass (merged P) h' = mass P h & mass (merged Q) h' = mass Q h].
Proof.
move=> th; pose S j := merged P j + merged Q j.
have M0 (M : I -> R) j : (forall i, 0 <= M i) -> 0 <= merged M j by move=> m; apply: sumr_ge0.
have S0 j : 0 <= S j by rewrite addr_ge0 ?M0.
pose h' j := (\sum_(i | region i == j) h i * (P i + Q i)) / S j.
have none (M : I -> R) i : (forall i, 0 <= M i) -> merged M (region i) = 0 -> M i = 0.
  move=> m /eqP; rewrite psumr_eq0 => [/allP/(_ i)|? _]; last exact: m.
  by rewrite mem_index_enum eqxx => /(_ isT)/eqP.
have equal (M : I -> R) : (forall i, 0 <= M i) -> (forall j, S j = 0 -> merged M j = 0) ->
    (forall i, (P i + Q i) * merged M (region i) = M i * S (region i)) -> mass (merged M) h' = mass M h.
  move=> m small prop; rewrite /mass [RHS](partition_big region xpredT) //=; apply: eq_bigr => j _.
  have [Sj|Sj] := eqVneq (S j) 0.
    rewrite (small j Sj) mulr0 big1 // => i /eqP ij.
    by rewrite (none M i m) ?mulr0 // ij small.
  rewrite /h' mulrAC mulr_suml; apply: (canLR (mulfK Sj)); rewrite mulr_suml.
  apply: eq_bigr => i /eqP ij; rewrite -mulrA -[in merged M j]ij prop ij; ring.
have zero j : S j = 0 -> merged P j = 0 /\ merged Q j = 0.
  by move/eqP; rewrite paddr_eq0 ?M0 // => /andP[/eqP p /eqP q].
exists h'; split.
- move=> j; rewrite /h'; have [->|Sj] := eqVneq (S j) 0; first by rewrite invr0 mulr0 lexx ler01.
  have Sp : 0 < S j by rewrite lt_def Sj S0.
  have w i : 0 <= P i + Q i by rewrite addr_ge0.
  apply/andP; split.
    by apply: divr_ge0 => //; apply: sumr_ge0 => i _; rewrite mulr_ge0 //; case/andP: (th i).
  rewrite ler_pdivr_mulr // mul1r /S /merged -big_split /=; apply: ler_sum => i _.
  by rewrite ler_pimull //; case/andP: (th i).
- by apply: equal => // [j /zero[]//|i]; rewrite mulrDl -one_price -mulrDr.
by apply: equal => // [j /zero[]//|i]; rewrite mulrDl one_price -mulrDr.
Qed.

(** And a test of regions is a test of outcomes.
    Book: prop-dn-merge. *)
Theorem regions_are_tests (h' : J -> R) : test h' ->
  [/\ test (h' \o region), mass P (h' \o region) = mass (merged P) h'
    & mass Q (h' \o region) = mass (merged Q) h'].
Proof. by move=> th; split; rewrite ?mass_merged // => i; apply: th. Qed.

End Merging.
