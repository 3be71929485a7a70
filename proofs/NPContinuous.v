(* The Neyman-Pearson lemma for densities on any measure space, and Gaussian noise on the line.
   Book: thm-np; thm-half-space in one dimension. *)
From mathcomp Require Import all_ssreflect all_algebra ring.
From mathcomp Require Import boolp classical_sets reals ereal topology normedtype sequences.
From mathcomp Require Import measure lebesgue_measure numfun lebesgue_integral exp.
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope classical_set_scope.
Local Open Scope ring_scope.

Section Lemma_.

Context d (T : measurableType d) (R : realType) (mu : {measure set T -> \bar R}).
Variables fP fQ : T -> R.
Hypotheses (mP : measurable_fun setT fP) (mQ : measurable_fun setT fQ).
Hypotheses (P0 : forall x, 0 <= fP x) (Q0 : forall x, 0 <= fQ x).
Hypothesis P_finite : (\int[mu]_x (fP x)%:E < +oo)%E.

(* A measurable test with values in [0, 1], and the mass of a density that it takes. *)
Definition test (h : T -> R) := measurable_fun setT h /\ forall x, 0 <= h x <= 1.
Definition mass (f h : T -> R) : \bar R := (\int[mu]_x (h x * f x)%:E)%E.

(** On any measure space, with densities fP of finite mass and fQ: of all measurable tests h with at least
    the P-mass of a threshold test h0, none has less Q-mass than h0.
    Book: thm-np. *)
Theorem neyman_pearson t h0 h : 0 <= t -> test h0 -> test h ->
  (forall x, (fQ x < t * fP x -> h0 x = 1) /\ (t * fP x < fQ x -> h0 x = 0)) ->
  (mass fP h0 <= mass fP h)%E -> (mass fQ h0 <= mass fQ h)%E.
Proof.
move=> t0 [m0 h01] [m1 h11] thr Ph.
have h0_ge0 x : 0 <= h0 x by have /andP[] := h01 x.
have h_ge0 x : 0 <= h x by have /andP[] := h11 x.
have meas (g f : T -> R) : measurable_fun setT g -> measurable_fun setT f ->
    measurable_fun setT (fun x => (g x * f x)%:E).
  by move=> mg mf; apply/EFin_measurable_fun; exact: measurable_funM.
have pointwise x : h0 x * fQ x + t * (h x * fP x) <= h x * fQ x + t * (h0 x * fP x).
  have [lo hi] := thr x; have /andP[hx0 hx1] := h11 x.
  rewrite -subr_ge0.
  have -> : h x * fQ x + t * (h0 x * fP x) - (h0 x * fQ x + t * (h x * fP x))
    = (h x - h0 x) * (fQ x - t * fP x) by ring.
  case: (ltrgtP (fQ x) (t * fP x)) => [c|c|->]; last by rewrite subrr mulr0.
    by rewrite lo // nmulr_lge0 ?subr_lt0 // subr_le0.
  by rewrite hi // pmulr_lge0 ?subr_gt0 // subr_ge0.
have finite : mass fP h \is a fin_num.
  rewrite ge0_fin_numE; last by apply: integral_ge0 => x _; rewrite lee_fin mulr_ge0.
  apply: le_lt_trans P_finite; apply: ge0_le_integral => //.
  - by move=> x _; rewrite lee_fin mulr_ge0.
  - exact: meas.
  - by move=> x _; rewrite lee_fin.
  - by apply/EFin_measurable_fun.
  - by move=> x _; rewrite lee_fin ler_pimull //; have /andP[] := h11 x.
have split (g g' : T -> R) : measurable_fun setT g -> measurable_fun setT g' -> (forall x, 0 <= g x) ->
    (forall x, 0 <= g' x) ->
    (\int[mu]_x (g x * fQ x + t * (g' x * fP x))%:E = mass fQ g + t%:E * mass fP g')%E.
  move=> mg mg' g0 g'0; under eq_integral do rewrite EFinD (EFinM t).
  rewrite ge0_integralD //.
  - congr (_ + _)%E; rewrite -ge0_integralM ?lee_fin //.
    + exact: meas.
    + by move=> x _; rewrite lee_fin mulr_ge0.
  - by move=> x _; rewrite lee_fin mulr_ge0.
  - exact: meas.
  - by move=> x _; rewrite -EFinM lee_fin !mulr_ge0.
  - by apply: measurable_funeM; exact: meas.
have sum : (mass fQ h0 + t%:E * mass fP h <= mass fQ h + t%:E * mass fP h0)%E.
  rewrite -!split //; apply: ge0_le_integral => //.
  - by move=> x _; rewrite lee_fin addr_ge0 ?mulr_ge0.
  - apply/EFin_measurable_fun; apply: measurable_funD; first exact: measurable_funM.
    by apply: measurable_funrM; exact: measurable_funM.
  - by move=> x _; rewrite lee_fin addr_ge0 ?mulr_ge0.
  - apply/EFin_measurable_fun; apply: measurable_funD; first exact: measurable_funM.
    by apply: measurable_funrM; exact: measurable_funM.
  - by move=> x _; rewrite lee_fin.
rewrite -(@lee_add2lE _ (t%:E * mass fP h)%E) ?fin_numM //.
rewrite addeC [X in (_ <= X)%E]addeC; apply: le_trans sum _.
by rewrite lee_add2l // lee_wpmul2l.
Qed.


(** If the price fQ / fP does not fall with a statistic u, the cheapest test with the P-mass of a set
    {u <= a} is that set. *)
Theorem monotone_ratio (u : T -> R) a h :
  (forall x, 0 < fP x) -> (exists x, u x = a) -> measurable [set x | u x <= a] ->
  (forall x y, u x <= u y -> fQ x * fP y <= fQ y * fP x) -> test h ->
  (mass fP \1_[set x | (u x <= a)%R] <= mass fP h)%E ->
  (mass fQ \1_[set x | (u x <= a)%R] <= mass fQ h)%E.
Proof.
move=> Ppos [x0 ux0] mA mono th.
apply: (@neyman_pearson (fQ x0 / fP x0)) => //; first by rewrite divr_ge0.
  split; first exact: measurable_fun_indic.
  by move=> x; rewrite indicE; case: (_ \in _); rewrite lexx ler01.
move=> x; rewrite indicE mulrAC ltr_pdivl_mulr // ltr_pdivr_mulr //; split=> lt.
  rewrite mem_set //= leNgt -ux0; apply: contraTN lt => /ltW/mono; by rewrite -leNgt.
rewrite memNset //= -ux0 => /mono; by rewrite leNgt lt.
Qed.

End Lemma_.

(* The measurable space of a measure: 0.6.0 gives the line several names. *)
Definition domain d (T : measurableType d) (R : realType) (m : {measure set T -> \bar R}) := T.

Section Gauss.

(* thm-half-space in one dimension: of all tests of the noise that take at least the mass of a
   half-line, the half-line keeps least when the centre moves by r >= 0. *)
Variable R : realType.
Let lambda := @lebesgue_measure R.
Definition bell (c x : R) : R := expR (- (x - c) ^+ 2 / 2%:R).

Lemma measurable_bell c : measurable_fun setT (bell c).
Proof.
have mexp : measurable_fun setT (@expR R) by apply: continuous_measurable_fun; exact: continuous_expR.
apply: measurable_fun_comp mexp _.
have -> : (fun x => - (x - c) ^+ 2 / 2%:R) = (fun x => (x - c) ^+ 2 * (- 2%:R^-1)).
  by apply/funext => x; rewrite mulNr mulrN.
apply: measurable_funM; last exact: measurable_fun_cst.
apply: measurable_fun_exprn; apply: measurable_funB; [exact: measurable_fun_id | exact: measurable_fun_cst].
Qed.

Section Shift.

Variable r : R.
Let phi (x : R) : R := x + r.

Let line := domain [the measure _ _ of @lebesgue_measure R].

Lemma measurable_phi : @measurable_fun _ _ line line setT phi.
Proof. by apply: measurable_funD; [exact: measurable_fun_id | exact: measurable_fun_cst]. Qed.

(* Lebesgue measure does not change when the line moves. *)
Lemma lebesgue_shift (A : set line) : measurable A ->
  lambda A = pushforward lambda measurable_phi A.
Proof.
have same X : ocitv X -> lambda X = pushforward lambda measurable_phi X.
  case=> -[x y] _ <-; rewrite /pushforward.
  have -> : phi @^-1` `]x, y]%classic = `]x - r, y - r]%classic.
    by apply/funext => z; apply/propext; rewrite /phi /= !in_itv /= ltr_subl_addr ler_subr_addr.
  rewrite /lambda lebesgue_measure_itv [RHS]lebesgue_measure_itv !hlength_itv /= !lte_fin ltr_add2r.
  by case: ifP => // _; rewrite -!EFinB opprB addrA subrK.
pose g (k : nat) : set R := `](- k%:R), k%:R]%classic.
have cover : \bigcup_k g k = setT.
  apply/seteqP; split=> // x _; exists (Num.bound `|x|) => //=; rewrite /g /= in_itv /=.
  by have := archi_boundP (normr_ge0 x); rewrite ltr_norml => /andP[-> /ltW->].
have finite k : (lebesgue_measure (g k) < +oo)%E.
  by rewrite /g lebesgue_measure_itv hlength_itv /=; case: ifP => _; rewrite ?ltry // -EFinB ltry.
move=> mA; rewrite /lambda.
have U := @measure_unique _ R line (@ocitv R) g erefl
  (@ocitvI R) (fun k => is_ocitv _ _) cover.
have V1 := U [the measure _ _ of @lebesgue_measure R].
have V2 := V1 [the measure _ _ of pushforward lambda measurable_phi].
have V3 := V2 same. have V4 := V3 finite. have V5 := V4 A mA. exact: V5.
Qed.

Lemma integral_shift (f : R -> \bar R) : measurable_fun setT f -> (forall x, (0 <= f x)%E) ->
  (\int[lambda]_x f x = \int[lambda]_x f (x + r)%R)%E.
Proof.
move=> mf f0; rewrite -[RHS](integral_pushforward measurable_phi lambda mf f0).
by apply: eq_measure_integral => A mA _; exact: lebesgue_shift.
Qed.

End Shift.

(** Gaussian noise of variance 1 on the line: of all tests with at least the mass of a half-line, the
    half-line keeps least mass when the centre moves by r >= 0.
    Book: thm-half-space. *)
Theorem gauss_halfline a r (h : R -> R) : 0 <= r ->
  (\int[lambda]_x (bell 0 x)%:E < +oo)%E -> test h ->
  (mass lambda (bell 0) \1_[set x | (x <= a)%R] <= mass lambda (bell 0) h)%E ->
  (mass lambda (bell r) \1_[set x | (x <= a)%R] <= mass lambda (bell r) h)%E.
Proof.
move=> r0 fin th; apply: (@monotone_ratio _ _ _ lambda (bell 0) (bell r) _ _ _ _ fin id a) => //.
- exact: measurable_bell.
- exact: measurable_bell.
- by move=> x; exact/ltW/expR_gt0.
- by move=> x; exact/ltW/expR_gt0.
- by move=> x; exact: expR_gt0.
- by exists a.
- rewrite (_ : [set x | _] = `]-oo, a]%classic); first exact: measurable_itv.
  by apply/funext => y; apply/propext; rewrite /= in_itv.
move=> x y xy; rewrite /bell -!expRD ler_expR -subr_ge0.
have -> : - (y - r) ^+ 2 / 2%:R + - (x - 0) ^+ 2 / 2%:R - (- (x - r) ^+ 2 / 2%:R + - (y - 0) ^+ 2 / 2%:R)
  = r * (y - x) by field.
by rewrite mulr_ge0 ?subr_ge0.
Qed.

Lemma halfline_shift a r :
  mass lambda (bell r) \1_[set x | (x <= a)%R] = mass lambda (bell 0) \1_[set x | (x <= a - r)%R].
Proof.
rewrite /mass (@integral_shift r) /=.
- apply: eq_integral => x _; congr (_%:E); rewrite /bell addrK subr0; congr (_ * _).
  rewrite !indicE; congr ((nat_of_bool _)%:R).
  by apply/idP/idP; rewrite !inE /= ler_subr_addr.
- apply/EFin_measurable_fun; apply: measurable_funM; last exact: measurable_bell.
  apply: measurable_fun_indic; rewrite (_ : [set x | _] = `]-oo, a]%classic); first exact: measurable_itv.
  by apply/funext => y; apply/propext; rewrite /= in_itv.
- by move=> x; rewrite lee_fin mulr_ge0 //; exact/ltW/expR_gt0.
Qed.

(** The same as a certificate: a test that has at least the mass of {x <= a} at the centre has at least
    the mass of {x <= a - r}, taken at the centre, when the centre has moved by r.
    Book: thm-half-space. *)
Theorem gauss_certificate a r (h : R -> R) : 0 <= r ->
  (\int[lambda]_x (bell 0 x)%:E < +oo)%E -> test h ->
  (mass lambda (bell 0) \1_[set x | (x <= a)%R] <= mass lambda (bell 0) h)%E ->
  (mass lambda (bell 0) \1_[set x | (x <= a - r)%R] <= mass lambda (bell r) h)%E.
Proof. by move=> r0 fin th Ph; rewrite -halfline_shift; apply: gauss_halfline. Qed.

End Gauss.
