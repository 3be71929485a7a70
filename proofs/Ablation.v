(* Randomized ablation: k of d pixels are kept, rho are changed.
   Book: thm-ra-coupling, prop-ra-tight, thm-ra-radius. *)
From mathcomp Require Import all_ssreflect all_algebra.
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.
Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Coupling.

(* A uniform draw from a finite set of views; two functions that agree outside a bad set. *)
Variables (R : realFieldType) (T : finType).
Implicit Types (omega bad : {set T}) (f : pred T).

Definition prob omega f : R := #|[set t in omega | f t]|%:R / #|omega|%:R.

Lemma coupling omega bad f f' : (forall t, t \in omega -> t \notin bad -> f t = f' t) ->
  `|prob omega f - prob omega f'| <= #|omega :&: bad|%:R / #|omega|%:R.
Proof.
move=> same; wlog le : f f' same / (#|[set t in omega | f' t]| <= #|[set t in omega | f t]|)%N.
  move=> wl; case: (leqP #|[set t in omega | f' t]| #|[set t in omega | f t]|) => [|/ltnW] le.
    exact: wl.
  by rewrite distrC; apply: wl => // t to tb; rewrite same.
rewrite /prob -mulrBl -natrB // normrM normr_nat ger0_norm ?invr_ge0 ?ler0n //.
rewrite ler_wpmul2r ?invr_ge0 ?ler0n // ler_nat leq_subLR.
have -> : [set t in omega | f t] = [set t in omega :&: bad | f t] :|: [set t in omega :\: bad | f t].
  by apply/setP => t; rewrite !inE; case: (t \in omega); case: (t \in bad); rewrite ?orbF.
apply: leq_trans (leq_card_setU _ _) _; rewrite addnC leq_add //.
  apply: subset_leq_card; apply/subsetP => t; rewrite !inE => /andP[/andP[tb to] ft].
  by rewrite to -(same t to tb).
by apply: subset_leq_card; apply/subsetP => t; rewrite !inE => /andP[].
Qed.

End Coupling.

Section Ablation.

Variables (R : realFieldType) (d k : nat) (pixel : eqType).

Definition image := 'I_d -> pixel.
Definition kept := [set T : {set 'I_d} | #|T| == k].
Definition view (x : image) (T : {set 'I_d}) : 'I_d -> option pixel :=
  fun i => if i \in T then Some (x i) else None.
Definition changed (x x' : image) := [set i | x i != x' i].

(* Delta(rho) = 1 - C(d - rho, k) / C(d, k). *)
Definition delta (rho : nat) : R := 1 - 'C(d - rho, k)%:R / 'C(d, k)%:R.

Lemma card_kept : #|kept| = 'C(d, k).
Proof. by rewrite -[in RHS](card_ord d) -card_draws. Qed.

Lemma card_missing (D : {set 'I_d}) :
  #|[set T in kept | [disjoint T & D]]| = 'C(d - #|D|, k).
Proof.
have -> : (d - #|D|)%N = #|~: D| by [rewrite [RHS]cardsCs setCK card_ord].
rewrite -cards_draws; apply: eq_card => T.
by rewrite !inE andbC disjoints_subset.
Qed.

(** The share of the views of k of d pixels that show a pixel of D is Delta of the size of D.
    Book: eq-ra-delta. *)
Theorem share_meeting (D : {set 'I_d}) : (k <= d)%N ->
  #|kept :&: [set T : {set 'I_d} | ~~ [disjoint T & D]]|%:R / #|kept|%:R = delta #|D|.
Proof.
move=> kd; rewrite /delta card_kept -card_missing.
have C0 : 'C(d, k)%:R != 0 :> R by rewrite pnatr_eq0 -lt0n bin_gt0.
rewrite -[X in X - _](divff C0) -mulrBl; congr (_ / _).
rewrite -card_kept -(cardsID [set T : {set 'I_d} | [disjoint T & D]] kept) natrD.
have -> : [set T in kept | [disjoint T & D]] = kept :&: [set T : {set 'I_d} | [disjoint T & D]].
  by apply/setP => T; rewrite !inE.
rewrite addrAC subrr add0r; congr (_%:R); apply: eq_card => T.
by rewrite !inE andbC.
Qed.

Lemma delta_le rho rho' : (rho <= rho')%N -> delta rho <= delta rho'.
Proof.
move=> le; rewrite /delta ler_add2l ler_opp2 ler_wpmul2r ?invr_ge0 ?ler0n // ler_nat.
by rewrite leq_bin2l // leq_sub2l.
Qed.

Section Classifier.

(* Any base classifier: it sees a view and says A or not. *)
Variable base : ('I_d -> option pixel) -> bool.
Hypothesis base_ext : forall v v', v =1 v' -> base v = base v'.

Definition g (x : image) : R := prob R kept (fun T => base (view x T)).

(** If x and x' differ in at most rho of d pixels, the shares of the views of k pixels on which a base
    classifier says A differ by at most Delta(rho) = 1 - C(d - rho, k) / C(d, k).
    Book: thm-ra-coupling, prop-ra-tight. *)
Theorem ablation_coupling x x' rho : (k <= d)%N -> (#|changed x x'| <= rho)%N ->
  `|g x - g x'| <= delta rho.
Proof.
move=> kd few; apply: le_trans (delta_le few); rewrite -share_meeting //.
apply: coupling => T _; rewrite inE negbK => apart; apply: base_ext => i; rewrite /view.
case: ifP => // iT; congr Some; apply/eqP; have := disjointFr apart iT.
by rewrite inE => /negbFE.
Qed.

(** If more than 1/2 + Delta(rho) of the views of x say A, more than 1/2 of the views of every x' that
    differs from x in at most rho pixels do.
    Book: thm-ra-radius. *)
Theorem ablation_certificate x x' rho : (k <= d)%N -> (#|changed x x'| <= rho)%N ->
  2%:R^-1 + delta rho < g x -> 2%:R^-1 < g x'.
Proof.
move=> kd few big; have := ablation_coupling kd few.
rewrite ler_distl => /andP[_]; rewrite -ler_subl_addr => /(lt_le_trans _); apply.
by rewrite ltr_subr_addr.
Qed.

End Classifier.

(** Whoever knows a runner-up: if the shares of A and B at x lie more than 2 Delta(rho) apart, A stays
    ahead of B at every x' that differs from x in at most rho pixels.
    Book: thm-ra-radius. *)
Theorem ablation_runner_up (says_a says_b : ('I_d -> option pixel) -> bool) x x' rho :
  (forall v v', v =1 v' -> says_a v = says_a v') -> (forall v v', v =1 v' -> says_b v = says_b v') ->
  (k <= d)%N -> (#|changed x x'| <= rho)%N ->
  2%:R * delta rho < g says_a x - g says_b x -> g says_b x' < g says_a x'.
Proof.
move=> ea eb kd few lead.
have := ablation_coupling ea kd few; have := ablation_coupling eb kd few.
rewrite !ler_distl => /andP[b1 b2] /andP[a1 a2].
apply: (@le_lt_trans _ _ (g says_b x + delta rho)); first by rewrite -ler_subl_addr.
apply: (@lt_le_trans _ _ (g says_a x - delta rho)); last by rewrite ler_subl_addr.
by rewrite ltr_subr_addr -addrA -mulr2n -mulr_natl addrC -ltr_subr_addr.
Qed.

(** Some base classifier says A on all views of x and on the share 1 - Delta(rho) of those of x', rho the
    number of pixels where they differ.
    Book: prop-ra-tight. *)
Theorem ablation_tight (x x' : image) : (k <= d)%N ->
  exists base, [/\ forall v v', v =1 v' -> base v = base v', g base x = 1
                 & g base x' = 1 - delta #|changed x x'|].
Proof.
move=> kd; pose base (v : 'I_d -> option pixel) := [forall i, (v i == None) || (v i == Some (x i))].
have C0 : #|kept|%:R != 0 :> R by rewrite card_kept pnatr_eq0 -lt0n bin_gt0.
exists base; split.
- by move=> v v' vv; apply: eq_forallb => i; rewrite vv.
- rewrite /g /prob (_ : [set _ in _ | _] = kept) ?divff //.
  apply/setP => T; rewrite !inE andbC /base (_ : [forall i, _] = true) //; apply/forallP => i.
  by rewrite /view; case: ifP => _; rewrite !eqxx ?orbT.
rewrite /delta subKr /g /prob card_kept -card_missing; congr (_%:R / _).
apply: eq_card => T; rewrite !inE; congr (_ && _).
apply/idP/idP => [/forallP all|apart]; last (apply/forallP => i).
  rewrite disjoints_subset; apply/subsetP => i iT; have := all i.
  by rewrite /view iT !inE /= => /eqP[->]; rewrite eqxx.
rewrite /view; case: ifP => // iT; have := disjointFr apart iT.
by rewrite inE => /negbFE/eqP->; rewrite eqxx orbT.
Qed.

(* A base classifier that says A on chosen views of x, and on no other view. *)
Lemma chosen_views (x x' : image) (S : {set {set 'I_d}}) : S \subset kept ->
  exists base, [/\ forall v v', v =1 v' -> base v = base v', g base x = #|S|%:R / 'C(d, k)%:R
    & g base x' = #|[set T in S | [disjoint T & changed x x']]|%:R / 'C(d, k)%:R].
Proof.
move=> /subsetP Sk; pose base (v : 'I_d -> option pixel) := [exists T in S, [forall i, v i == view x T i]].
have own (T T' : {set 'I_d}) : [forall i, view x T i == view x T' i] -> T = T'.
  move=> /forallP e; apply/setP => i; have := e i; rewrite /view.
  by case: (i \in T); case: (i \in T') => // /eqP.
exists base; split.
- by move=> v v' vv; apply: eq_existsb => T; congr (_ && _); apply: eq_forallb => i; rewrite vv.
- rewrite /g /prob card_kept; congr (_%:R / _); apply: eq_card => T; rewrite inE.
  apply/andP/idP => [[Tk /existsP[T' /andP[T'S /own->]]] //|TS]; split; first exact: Sk.
  by apply/existsP; exists T; rewrite TS; apply/forallP => i.
rewrite /g /prob card_kept; congr (_%:R / _); apply: eq_card => T; rewrite !inE.
apply/andP/andP => [[Tk /existsP[T' /andP[T'S /forallP e]]]|[TS apart]].
  have TT' : T = T'.
    by apply/setP => i; have := e i; rewrite /view; case: (i \in T); case: (i \in T') => // /eqP.
  split; first by rewrite TT'.
  rewrite disjoints_subset; apply/subsetP => i iT; rewrite !inE negbK.
  by have := e i; rewrite /view -TT' iT => /eqP[->].
split; first by have := Sk T TS; rewrite inE.
apply/existsP; exists T; rewrite TS; apply/forallP => i; rewrite /view; case: ifP => // iT.
by have := disjointFr apart iT; rewrite inE => /negbFE/eqP->.
Qed.

Lemma subset_of_size (T : finType) (A : {set T}) n : (n <= #|A|)%N ->
  exists2 S : {set T}, S \subset A & #|S| = n.
Proof.
move=> /card_geqP[s [us <- sA]]; exists [set t in s].
  by apply/subsetP => t; rewrite inE => /sA.
by rewrite cardsE; apply/card_uniqP.
Qed.

(** Let x and x' differ in exactly rho pixels, and let p = n / C(d, k) be at most 1.  Some base
    classifier says A on the share p of the views of x and on max(p - Delta(rho), 0) of those of x'.
    With ablation_coupling this is the least that p leaves.
    Book: prop-ra-tight. *)
Theorem ablation_least (x x' : image) n : (k <= d)%N -> (n <= 'C(d, k))%N ->
  exists base, [/\ forall v v', v =1 v' -> base v = base v', g base x = n%:R / 'C(d, k)%:R
    & g base x' = Num.max (n%:R / 'C(d, k)%:R - delta #|changed x x'|) 0].
Proof.
move=> kd nC; set D := changed x x'.
pose M := kept :&: [set T : {set 'I_d} | ~~ [disjoint T & D]].
pose N := kept :&: [set T : {set 'I_d} | [disjoint T & D]].
have C0 : 0 < 'C(d, k)%:R :> R by rewrite ltr0n bin_gt0.
have deltaM : delta #|D| = #|M|%:R / 'C(d, k)%:R by rewrite -share_meeting // card_kept.
have cardMN : (#|M| + #|N|)%N = 'C(d, k).
  rewrite -card_kept -(cardsID [set T : {set 'I_d} | [disjoint T & D]] kept) addnC; congr (_ + _)%N.
  by apply: eq_card => T; rewrite !inE andbC.
have [small|large] := leqP n #|M|.
  have [S SM Sn] := subset_of_size small.
  have [|base [ext at_x at_x']] := @chosen_views x x' S.
    by apply: subset_trans SM (subsetIl _ _).
  exists base; split=> //; first by rewrite at_x Sn.
  rewrite at_x' -/D (_ : [set T in S | _] = set0) ?cards0 ?mul0r; last first.
    apply/setP => T; rewrite !inE; apply/negP => /andP[/(subsetP SM)].
    by rewrite !inE => /andP[_ /negP].
  by rewrite max_r // deltaM -mulrBl pmulr_lle0 ?invr_gt0 // subr_le0 ler_nat.
have [|S SN Sn] := @subset_of_size _ N (n - #|M|); first by rewrite leq_subLR cardMN.
have apart : [disjoint M & S].
  rewrite disjoints_subset; apply/subsetP => T; rewrite !inE => /andP[_ TD].
  by apply: contra TD => /(subsetP SN); rewrite !inE => /andP[].
have [|base [ext at_x at_x']] := @chosen_views x x' (M :|: S).
  by rewrite subUset subsetIl (subset_trans SN (subsetIl _ _)).
exists base; split=> //.
  by rewrite at_x cardsU (disjoint_setI0 apart) cards0 subn0 Sn subnKC // ltnW.
rewrite at_x' -/D (_ : [set T in M :|: S | _] = S); last first.
  apply/setP => T; rewrite !inE; case TS: (T \in S).
    by have := subsetP SN T TS; rewrite !inE orbT => /andP[_ ->].
  by rewrite orbF -andbA andNb andbF.
by rewrite Sn natrB ?(ltnW large) // mulrBl deltaM max_l // subr_ge0 ler_wpmul2r ?invr_ge0 ?ler0n //
  ler_nat ltnW.
Qed.

(** If p = n / C(d, k) is at most 1/2 + Delta(rho), some base classifier that says A on the share p of
    the views of x leaves A no majority at x', for any x' that differs from x in exactly rho pixels.
    Book: thm-ra-radius. *)
Theorem ablation_radius_tight (x x' : image) n : (k <= d)%N -> (n <= 'C(d, k))%N ->
  n%:R / 'C(d, k)%:R <= 2%:R^-1 + delta #|changed x x'| ->
  exists base, [/\ forall v v', v =1 v' -> base v = base v', g base x = n%:R / 'C(d, k)%:R
    & g base x' <= 2%:R^-1].
Proof.
move=> kd nC few; have [base [ext at_x at_x']] := ablation_least x x' kd nC.
by exists base; split=> //; rewrite at_x' le_maxl ler_subl_addr few invr_ge0 ler0n.
Qed.

End Ablation.
