(* An executable check of a Clopper-Pearson bound, by integers alone.
   cp_ok n k A B an ad = true proves P(Bin(n, A/B) >= k) <= an/ad.
   Book: thm-clopper-pearson; it checks numbers that clopper_pearson_lower returned. *)
From Coq Require Import ZArith.
From mathcomp Require Import all_ssreflect all_algebra ring.
From mathcomp Require Import zify ssrZ.
From Formal Require Import Zreal Binomial.
Delimit Scope Z_scope with Z.   (* mathcomp gave this key to its own integers *)
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.
Import Order.Theory GRing.Theory Num.Theory.

Section Check.
Local Open Scope Z_scope.

Variables n k A B : Z.     (* the claim P(Bin(n, A/B) >= k) <= alpha *)

(* Upwards from j: u bounds the mass at j from above, in units of the mass at k.  Where the masses
   fall, all those that are left are at most u each. *)
Definition stop (u j acc : Z) : option Z :=
  if (n - j) * A <=? (j + 1) * (B - A) then Some (acc + u * (n - j + 1)) else None.

Fixpoint up (fuel : nat) (u j acc : Z) : option Z :=
  if fuel is S f then
    if u <=? 1 then stop u j acc
    else if j =? n then Some (acc + u)
    else up f (cdiv (u * ((n - j) * A)) ((j + 1) * (B - A))) (j + 1) (acc + u)
  else stop u j acc.

(* Downwards from j: l bounds the mass at j from below. *)
Fixpoint down (fuel : nat) (l j acc : Z) : Z :=
  if fuel is S f then
    if (l <=? 0) || (j =? 0) then acc
    else let l' := (l * (j * (B - A))) / ((n - j + 1) * A) in down f l' (j - 1) (acc + l')
  else acc.

Variables an ad : Z.       (* alpha = an / ad *)
Variables (unit : Z) (fuel : nat).

Definition cp_ok : bool :=
  [&& 0 <? A, A <? B, 1 <=? k, k <=? n, 0 <? ad, 0 <=? an, an <=? ad, 0 <? unit &
   match up fuel unit k 0 with
   | Some U => (ad - an) * U <=? an * down fuel unit k 0
   | None => false
   end].

End Check.

Section Soundness.

Local Open Scope ring_scope.
Variable R : realFieldType.
Variables (n k : nat) (A B : Z).
Hypotheses (A_gt0 : (0 < A)%Z) (A_ltB : (A < B)%Z).
Local Notation Zr := (Zr R).

Let p : R := Zr A / Zr B.
Let f (j : nat) : R := pmf p n j.
Let B_gt0 : 0 < Zr B. Proof. by apply: Zr_gt0; lia. Qed.

Let p01 : 0 < p < 1.
Proof.
rewrite /p; apply/andP; split; first by rewrite divr_gt0 // Zr_gt0.
by rewrite ltr_pdivr_mulr // mul1r -subr_gt0 -ZrB Zr_gt0 //; lia.
Qed.

Let f_ge0 j : 0 <= f j.
Proof.
case/andP: p01 => p0 p1; rewrite /f /pmf !mulr_ge0 ?ler0n ?exprn_ge0 ?subr_ge0 //; exact: ltW.
Qed.

(* Ratios of neighbours. *)
Lemma pmf_next j : (j < n)%N -> f j.+1 * (j.+1%:R * (1 - p)) = f j * ((n - j)%:R * p).
Proof.
move=> jn; rewrite /f /pmf -(subnSK jn) !exprS.
have : 'C(n, j.+1)%:R * j.+1%:R = 'C(n, j)%:R * (n - j)%:R :> R.
  by rewrite -!natrM mulnC mul_bin_left mulnC.
rewrite -(subnSK jn) => e.
transitivity (('C(n, j.+1)%:R * j.+1%:R) * (p * p ^+ j * (1 - p) ^+ (n - j.+1) * (1 - p))); first by ring.
by rewrite e; ring.
Qed.

Lemma Zr_q : Zr (B - A) = (1 - p) * Zr B.
Proof. by rewrite ZrB /p mulrBl mul1r divfK ?gt_eqF. Qed.

Lemma Zr_p : Zr A = p * Zr B.
Proof. by rewrite /p divfK ?gt_eqF. Qed.

Lemma pmf_nextZ j : (j < n)%N ->
  f j.+1 * Zr ((Z.of_nat j + 1) * (B - A)) = f j * Zr ((Z.of_nat n - Z.of_nat j) * A).
Proof.
move=> jn; have -> : (Z.of_nat j + 1 = Z.of_nat j.+1)%Z by lia.
have -> : (Z.of_nat n - Z.of_nat j = Z.of_nat (n - j))%Z by lia.
rewrite !ZrM !Zr_nat Zr_q Zr_p; have := pmf_next jn; move: (f _) (f _) => a b e.
transitivity (b * (j.+1%:R * (1 - p)) * Zr B); first by ring.
by rewrite e; ring.
Qed.

(* The masses fall from j on if they fall at j. *)
Lemma falls j i : (j <= i <= n)%N ->
  ((Z.of_nat n - Z.of_nat j) * A <= (Z.of_nat j + 1) * (B - A))%Z -> f i <= f j.
Proof.
elim: i => [|i IH] /andP[ji iN] fall; first by rewrite leqn0 in ji; rewrite (eqP ji).
move: ji; rewrite leq_eqVlt => /orP[/eqP->//|]; rewrite ltnS => ji.
apply: le_trans (IH _ fall); last by rewrite ji ltnW.
have pos : 0 < Zr ((Z.of_nat i + 1) * (B - A)) by apply: Zr_gt0; nia.
rewrite -(ler_pmul2r pos) pmf_nextZ // ler_wpmul2l //.
by apply: Zr_le; nia.
Qed.

Let rest j : R := \sum_(j <= i < n.+1) f i.

Lemma stop_sound c u j acc U : (j <= n)%N -> f j <= Zr u * c ->
  stop (Z.of_nat n) A B u (Z.of_nat j) acc = Some U -> rest j + Zr acc * c <= Zr U * c.
Proof.
move=> jn fu; rewrite /stop; case: Z.leb_spec => // fall [<-].
rewrite ZrD mulrDl [X in _ <= X]addrC ler_add2r.
have -> : (Z.of_nat n - Z.of_nat j + 1 = Z.of_nat (n.+1 - j))%Z by lia.
rewrite ZrM Zr_nat mulrAC; apply: (@le_trans _ _ (f j * (n.+1 - j)%:R)).
  rewrite mulr_natr -sumr_const_nat /rest big_nat [X in _ <= X]big_nat.
  by apply: ler_sum => i; rewrite ltnS => ji; apply: falls.
by rewrite ler_wpmul2r ?ler0n.
Qed.

Lemma up_sound c fuel u j acc U : 0 < c -> (j <= n)%N -> (0 <= u)%Z ->
  f j <= Zr u * c -> up (Z.of_nat n) A B fuel u (Z.of_nat j) acc = Some U ->
  rest j + Zr acc * c <= Zr U * c.
Proof.
move=> c0; elim: fuel u j acc => [|fuel IH] u j acc jn u0 fu; first exact: stop_sound.
rewrite /=; case: Z.leb_spec => _; first exact: stop_sound.
case: Z.eqb_spec => [jN [<-]|jN].
  have -> : j = n by lia.
  rewrite /rest big_nat1 ZrD mulrDl addrC ler_add2l; have <- // : j = n by lia.
have jlt : (j < n)%N by lia.
have -> : (Z.of_nat j + 1 = Z.of_nat j.+1)%Z by lia.
have dpos : (0 < Z.of_nat j.+1 * (B - A))%Z by nia.
have cge0 : (0 <= cdiv (u * ((Z.of_nat n - Z.of_nat j) * A)) (Z.of_nat j.+1 * (B - A)))%Z.
  by rewrite /cdiv; apply: Z.div_pos => //; nia.
move/IH => /(_ jlt cge0) step; apply: le_trans (step _).
  have -> : rest j = f j + rest j.+1 by rewrite /rest big_ltn // ltnS ltnW.
  by rewrite ZrD mulrDl [f j + _]addrC -addrA ler_add2l addrC ler_add2l.
have pos := Zr_gt0 R dpos.
rewrite -(ler_pmul2r pos) [X in _ <= X]mulrAC; have := pmf_nextZ jlt.
have -> : (Z.of_nat j + 1 = Z.of_nat j.+1)%Z by lia.
move->; apply: (@le_trans _ _ (Zr (u * ((Z.of_nat n - Z.of_nat j) * A)) * c)).
  set Y := ((Z.of_nat n - Z.of_nat j) * A)%Z.
  have Y0 : (0 <= Y)%Z by rewrite /Y; nia.
  by rewrite [Zr (u * Y)]ZrM [X in _ <= X]mulrAC ler_wpmul2r // Zr_ge0.
by rewrite ler_wpmul2r ?(ltW c0) // Zr_cdiv.
Qed.

Let before j : R := \sum_(0 <= i < j) f i.

Lemma down_sound c fuel l j acc : 0 < c -> (j <= n)%N -> Zr l * c <= f j ->
  Zr (down (Z.of_nat n) A B fuel l (Z.of_nat j) acc) * c <= Zr acc * c + before j.
Proof.
move=> c0; elim: fuel l j acc => [|fuel IH] l j acc jn lf.
  by rewrite /= ler_addl sumr_ge0.
rewrite /=; case: orP => [_|nostop]; first by rewrite ler_addl sumr_ge0.
have l0 : (0 < l)%Z by case: (Z.leb_spec l 0) nostop => // _ []; left.
case: j jn lf nostop => [|j] jn lf nostop; first by case: nostop; right.
set l' := (_ / _)%Z; have -> : (Z.of_nat j.+1 - 1 = Z.of_nat j)%Z by lia.
have dpos : (0 < (Z.of_nat n - Z.of_nat j.+1 + 1) * A)%Z by nia.
have l'f : Zr l' * c <= f j.
  have pos := Zr_gt0 R dpos; rewrite -(ler_pmul2r pos).
  have -> : (Z.of_nat n - Z.of_nat j.+1 + 1 = Z.of_nat n - Z.of_nat j)%Z by lia.
  rewrite -pmf_nextZ //; have -> : (Z.of_nat j + 1 = Z.of_nat j.+1)%Z by lia.
  have -> : (Z.of_nat n - Z.of_nat j = Z.of_nat n - Z.of_nat j.+1 + 1)%Z by lia.
  set Y := (Z.of_nat j.+1 * (B - A))%Z; have Y0 : (0 <= Y)%Z by rewrite /Y; nia.
  rewrite [X in X <= _]mulrAC; apply: (@le_trans _ _ (Zr (l * Y) * c)).
    by rewrite ler_wpmul2r ?(ltW c0) // Zr_div.
  by rewrite [Zr (l * Y)]ZrM [X in X <= _]mulrAC ler_wpmul2r // Zr_ge0.
apply: le_trans (IH l' j _ (ltnW jn) l'f) _.
by rewrite ZrD mulrDl -addrA ler_add2l /before big_nat_recr //= addrC ler_add2l.
Qed.

(** If cp_ok passes A / B, then k or more of n votes have probability at most an / ad under A / B.
    Book: thm-clopper-pearson. *)
Theorem cp_ok_sound an ad unit fuel :
  cp_ok (Z.of_nat n) (Z.of_nat k) A B an ad unit fuel ->
  tail (Zr A / Zr B) n k <= Zr an / Zr ad.
Proof.
rewrite /cp_ok => /and5P[_ _ k1 kn /and5P[ad0 an0 anad unit0]].
case E: up => [U|//] fin.
have c0 : 0 < f k / Zr unit.
  rewrite divr_gt0 ?Zr_gt0 //; last by lia.
  case/andP: p01 => p0 p1; rewrite /f /pmf !mulr_gt0 ?exprn_gt0 ?subr_gt0 // ltr0n bin_gt0; lia.
have fk : Zr unit * (f k / Zr unit) = f k by rewrite mulrC divfK ?gt_eqF ?Zr_gt0 //; lia.
have kN : (k <= n)%N by lia.
have u0 : (0 <= unit)%Z by lia.
have := @up_sound _ fuel unit k 0 U c0 kN u0; rewrite fk Zr0 mul0r addr0 => /(_ (lexx _) E) upper.
have := @down_sound _ fuel unit k 0 c0 kN; rewrite fk Zr0 mul0r add0r => /(_ (lexx _)) lower.
have total : before k + rest k = 1.
  rewrite /before /rest -big_cat_nat //=; last exact: leqW.
  rewrite big_mkord -(Pr_total p n) -[RHS]/(tail p n 0) tailE; exact: eq_bigl.
have -> : tail p n k = rest k by rewrite tailE /rest big_geq_mkord.
set c := _ / _ in c0 upper lower; clearbody c; set L := down _ _ _ _ _ _ _ in fin lower.
rewrite ler_pdivl_mulr ?Zr_gt0 //; last by lia.
have an0' : 0 <= Zr an by apply: Zr_ge0; lia.
have dif0 : 0 <= Zr (ad - an) by apply: Zr_ge0; lia.
have : Zr (ad - an) * rest k <= Zr an * before k.
  apply: (@le_trans _ _ (Zr (ad - an) * (Zr U * c))); first exact: ler_wpmul2l.
  apply: (@le_trans _ _ (Zr an * (Zr L * c))); last exact: ler_wpmul2l.
  by rewrite !mulrA ler_wpmul2r ?(ltW c0) // -!ZrM Zr_le //; lia.
have -> : before k = 1 - rest k by rewrite -total addrK.
by rewrite ZrB mulrBl mulrBr mulr1 ler_subl_addr subrK mulrC.
Qed.

End Soundness.
