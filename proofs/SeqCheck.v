(* An executable check of the error of a sequential test, by machine integers rounded up.
   seq_ok A B looks an ad = true proves that the test certifies with probability at most an/ad when
   the success probability is at most A/B.  Book: prop-coupling, eq-walk; it checks the boundaries
   that SequentialTest returned. *)
From Coq Require Import ZArith Uint63.
From mathcomp Require Import all_ssreflect all_algebra ring.
From mathcomp Require Import zify ssrZ.
From Formal Require Import Zreal Binomial Sequential.
Delimit Scope Z_scope with Z.
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.
Import Order.Theory GRing.Theory Num.Theory.

Local Notation int63 := Uint63.int.
Local Notation num := Uint63.to_Z.

(* a x / 2^63, rounded up. *)
Definition mulup (a x : int63) : int63 := Uint63.add (fst (Uint63.mulc a x)) 1%uint63.

Definition most : int63 := 2305843009213693952%uint63.   (* 2^61: sums of two cannot wrap *)

Section Check.

Variables a b : int63.   (* what goes one count up, and what stays, over 2^63 *)

Fixpoint draw (prev : int63) (M : seq int63) : seq int63 :=
  if M is x :: M' then Uint63.add (mulup a prev) (mulup b x) :: draw x M'
  else [:: mulup a prev].

(* Small masses at the ends count as certified. *)
Variable small : int63.

Fixpoint front (lo : Z) (M : seq int63) (acc : Z) : Z * seq int63 * Z :=
  if M is x :: M' then
    if Uint63.leb x small then front (lo + 1)%Z M' (acc + (num x))%Z else (lo, M, acc)
  else (lo, [::], acc).

Fixpoint back (M : seq int63) (acc : Z) : seq int63 * Z :=
  if M is x :: M' then
    let '(M'', acc') := back M' acc in
    if M'' is [::] then if Uint63.leb x small then ([::], (acc' + (num x))%Z) else ([:: x], acc')
    else (x :: M'', acc')
  else ([::], acc).

(* A look: certified from ac on, given up below re. *)
Fixpoint look (ac re lo : Z) (M : seq int63) (acc : Z) : Z * seq int63 * Z :=
  if M is x :: M' then
    if (lo <? re)%Z then look ac re (lo + 1)%Z M' acc
    else (lo, take (Z.to_nat (ac - lo)) M, foldl (fun s x => (s + (num x))%Z) acc (drop (Z.to_nat (ac - lo)) M))
  else (lo, [::], acc).

Definition state := (Z * seq int63 * Z)%type.

Definition trim (st : state) : state :=
  let '(lo, M, acc) := st in let '(M', acc') := back M acc in front lo M' acc'.

Definition draw1 (st : state) : option state :=
  let '(lo, M, acc) := st in
  if all (fun x => Uint63.leb x most) M then Some (lo, draw 0%uint63 M, acc) else None.

Fixpoint draws (m : nat) (wait : nat) (st : state) : option state :=
  if m is S m' then
    if draw1 st is Some st' then
      if wait is S w then draws m' w st' else draws m' 15 (trim st')
    else None
  else Some st.

Fixpoint follow (looks : seq (Z * Z * Z)) (st : state) : option Z :=
  match looks with
  | (m, ac, re) :: looks' =>
      if (m <=? 0)%Z || (ac <? re)%Z then None else
      if draws (Z.to_nat m) 15 st is Some (lo, M, acc) then follow looks' (look ac re lo M acc)
      else None
  | [::] => Some st.2
  end.

End Check.

Definition unit : Z := (2 ^ 60)%Z.
Definition over : Z := (2 ^ 63)%Z.

(* looks: votes since the last look, accept, reject + 1. *)
Definition seq_ok (A B : Z) (looks : seq (Z * Z * Z)) (small : int63) (an ad : Z) : bool :=
  let a := cdiv (A * over) B in let b := cdiv ((B - A) * over) B in
  [&& (0 <? A)%Z, (A <? B)%Z, (a <? over)%Z, (b <? over)%Z, (0 <? ad)%Z &
   match follow (Uint63.of_Z a) (Uint63.of_Z b) small looks (0%Z, [:: Uint63.of_Z unit], 0%Z) with
   | Some acc => (acc * ad <=? an * unit)%Z
   | None => false
   end].

Section Soundness.

Local Open Scope ring_scope.
Variable R : realFieldType.
Local Notation Zr := (Zr R).

(* The mass of a list that starts at the count lo, each entry times a value of its count. *)
Fixpoint VL (v : Z -> R) (lo : Z) (M : seq int63) : R :=
  if M is x :: M' then Zr (num x) * v lo + VL v (lo + 1)%Z M' else 0.

Lemma int_ge0 x : 0 <= Zr (num x).
Proof. by apply: Zr_ge0; have [] := to_Z_bounded x. Qed.

Lemma VL_ge0 v lo M : (forall c, 0 <= v c) -> 0 <= VL v lo M.
Proof. by move=> v0; elim: M lo => //= x M IH lo; rewrite addr_ge0 ?mulr_ge0 ?int_ge0. Qed.

Lemma wBE : wB = over. Proof. by []. Qed.

Lemma mulup_Z a x : (num (mulup a x)) = ((num a) * (num x) / over + 1)%Z.
Proof.
have := to_Z_bounded a; have := to_Z_bounded x; have := mulc_spec a x; rewrite /mulup wBE.
case: (mulc a x) => h l /=; have := to_Z_bounded h; have := to_Z_bounded l; rewrite wBE.
move=> [l0 lw] [h0 hw] e [x0 xw] [a0 aw].
have hE : (num h) = ((num a) * (num x) / over)%Z by apply: (Z.div_unique _ _ _ (num l)); [left | rewrite e Z.mul_comm].
have hlt : ((num h) + 1 < over)%Z.
  have : ((num a) * (num x) <= (over - 1) * (over - 1))%Z by apply: Z.mul_le_mono_nonneg; lia.
  by rewrite e; move: l0 h0; rewrite /over; move: (num h) (num l) => y z; lia.
rewrite add_spec wBE Z.mod_small hE //; split; last by rewrite -hE.
by rewrite -hE; apply: Z.add_nonneg_nonneg.
Qed.

Lemma mulup_ge a x : Zr (num a) / Zr over * Zr (num x) <= Zr (num (mulup a x)).
Proof.
have o0 : 0 < Zr over by apply: Zr_gt0.
rewrite mulrAC ler_pdivr_mulr // mulup_Z -!ZrM; apply: Zr_le.
have := Z.mod_pos_bound ((num a) * (num x)) over erefl.
have := Z.div_mod ((num a) * (num x)) over; move: (_ * _)%Z => y.
move: (y / over)%Z (y mod over)%Z => q r; rewrite /over; lia.
Qed.

Lemma mulup_le a x : ((num (mulup a x)) <= (num x) + 1)%Z.
Proof.
rewrite mulup_Z; have := to_Z_bounded a; have := to_Z_bounded x; rewrite wBE => -[x0 xw] [a0 aw].
have : ((num a) * (num x) / over <= (num x))%Z; last by lia.
by apply: Z.div_le_upper_bound => //; apply: Z.mul_le_mono_nonneg_r => //; lia.
Qed.

Section Walk.

Variables a b small : int63.
Variable p : R.
Hypotheses (p01 : 0 <= p <= 1).
Hypotheses (pa : p <= Zr (num a) / Zr over) (qb : 1 - p <= Zr (num b) / Zr over).

Lemma mass_up x : p * Zr (num x) <= Zr (num (mulup a x)).
Proof. by apply: le_trans (mulup_ge a x); rewrite ler_wpmul2r ?int_ge0. Qed.

Lemma mass_stay x : (1 - p) * Zr (num x) <= Zr (num (mulup b x)).
Proof. by apply: le_trans (mulup_ge b x); rewrite ler_wpmul2r ?int_ge0. Qed.

Lemma add_masses x y : leb x most -> leb y most ->
  (num (add (mulup a x) (mulup b y))) = ((num (mulup a x)) + (num (mulup b y)))%Z.
Proof.
move=> /leb_spec xm /leb_spec ym; rewrite add_spec Z.mod_small // wBE.
have := @mulup_le a x; have := @mulup_le b y.
have := to_Z_bounded (mulup a x); have := to_Z_bounded (mulup b y).
have m61 : (num most) = (2 ^ 61)%Z by []; rewrite m61 in xm ym.
rewrite /over; lia.
Qed.

Lemma draw_sound v lo prev M : (forall c, 0 <= v c) ->
  leb prev most -> all (fun x => leb x most) M ->
  p * Zr (num prev) * v lo + VL (fun c => p * v (c + 1)%Z + (1 - p) * v c) lo M
    <= VL v lo (draw a b prev M).
Proof.
move=> v0; elim: M lo prev => [|x M IH] lo prev pm /=.
  by move=> _; rewrite !addr0 ler_wpmul2r ?mass_up.
move=> /andP[xm allm]; rewrite add_masses // ZrD.
set V := VL _ (lo + 1)%Z M; have step : p * Zr (num x) * v (lo + 1)%Z + V <= _ := IH (lo + 1)%Z x xm allm.
have i1 := ler_wpmul2r (v0 lo) (mass_up prev); have i2 := ler_wpmul2r (v0 lo) (mass_stay x).
rewrite [X in _ <= X + _]mulrDl; apply: le_trans (ler_add (ler_add i1 i2) step).
by rewrite le_eqVlt; apply/orP; left; apply/eqP; ring.
Qed.

(* Dropping masses of value at most 1. *)
Lemma front_sound v lo M acc : (forall c, 0 <= v c <= 1) ->
  let '(lo', M', acc') := front small lo M acc in
  VL v lo M + Zr acc <= VL v lo' M' + Zr acc'.
Proof.
move=> v01; elim: M lo acc => [|x M IH] lo acc /=; first by [].
case: leb; last by [].
have := IH (lo + 1)%Z (acc + (num x))%Z; case: front => [[lo' M'] acc'] /=.
apply: le_trans; rewrite -addrA ZrD [X in _ <= X]addrA [X in _ <= X]addrC ler_add2r.
by have /andP[_ v1] := v01 lo; rewrite ler_pimulr ?int_ge0.
Qed.

Lemma back_sound v lo M acc : (forall c, 0 <= v c <= 1) ->
  let '(M', acc') := back small M acc in VL v lo M + Zr acc <= VL v lo M' + Zr acc'.
Proof.
move=> v01; elim: M lo => [|x M IH] lo //=.
have := IH (lo + 1)%Z; case: back => [[|y M'] acc'] /=; last by rewrite -!addrA ler_add2l.
rewrite add0r -addrA => le; case: leb; rewrite /= ?add0r ?addr0 ?ler_add2l //.
by rewrite ZrD addrC ler_add //; have /andP[_ v1] := v01 lo; rewrite ler_pimulr ?int_ge0.
Qed.

Lemma sum_sound v lo M acc : (forall c, 0 <= v c <= 1) ->
  VL v lo M + Zr acc <= Zr (foldl (fun s x => (s + (num x))%Z) acc M).
Proof.
move=> v01; elim: M lo acc => [|x M IH] lo acc /=; first by rewrite add0r.
apply: le_trans (IH (lo + 1)%Z _); rewrite -addrA ZrD [X in _ <= X]addrA [X in _ <= X]addrC ler_add2r.
by have /andP[_ v1] := v01 lo; rewrite ler_pimulr ?int_ge0.
Qed.

Lemma VL_cat v lo M M' : VL v lo (M ++ M') = VL v lo M + VL v (lo + Z.of_nat (size M))%Z M'.
Proof.
elim: M lo => [|x M IH] lo /=; first by rewrite add0r; congr VL; lia.
by rewrite IH addrA; congr (_ + VL _ _ _); lia.
Qed.

Lemma VL_le v v' lo M : (forall c, (lo <= c < lo + Z.of_nat (size M))%Z -> v c <= v' c) ->
  VL v lo M <= VL v' lo M.
Proof.
elim: M lo => [|x M IH] lo //= vv; apply: ler_add; first by rewrite ler_wpmul2l ?int_ge0 ?vv //; lia.
by apply: IH => c cl; apply: vv; lia.
Qed.

(* The value of a state: what certifies from here on, and what has. *)
Definition bound (v : Z -> R) (st : state) : R := let '(lo, M, acc) := st in VL v lo M + Zr acc.
Definition low (st : state) : Z := st.1.1.
Definition value (steps : plan) (c : Z) : R := Pr p (size steps) (certifies steps (Z.to_nat c)).
Definition next s (steps : plan) (c : Z) : R := after p s steps (Z.to_nat c).

Lemma value01 steps c : 0 <= value steps c <= 1.
Proof. by rewrite /value Pr_ge0 ?Pr_le1. Qed.

Lemma next01 s steps c : 0 <= next s steps c <= 1.
Proof.
rewrite /next; case: s => [[a' r]|] /=; last exact: value01.
by case: ifP; [|case: ifP]; rewrite ?lexx ?ler01 // => _ _; exact: value01.
Qed.

Lemma trim_sound v st : (forall c, 0 <= v c <= 1) -> (0 <= low st)%Z ->
  bound v st <= bound v (trim small st) /\ (0 <= low (trim small st))%Z.
Proof.
move=> v01; case: st => [[lo M] acc] lo0; rewrite /trim /bound /low in lo0 *.
have := @back_sound v lo M acc v01; case: back => M' acc' le.
have := @front_sound v lo M' acc' v01.
have : (0 <= (front small lo M' acc').1.1)%Z.
  move: lo0 => /=; elim: M' acc' lo {le} => [|x M' IH] acc' lo //= lo0.
  by case: leb => //; apply: IH; lia.
by case: front => [[lo' M''] acc''] /= l0 le'; split=> //; apply: le_trans le le'.
Qed.

Lemma draw1_sound s steps st st' : (0 <= low st)%Z -> draw1 a b st = Some st' ->
  bound (value (s :: steps)) st <= bound (next s steps) st' /\ (0 <= low st')%Z.
Proof.
case: st => [[lo M] acc] lo0; rewrite /draw1; case: ifP => // allm [<-]; split=> //.
rewrite /bound ler_add2r.
have v0 c : 0 <= next s steps c by have /andP[] := next01 s steps c.
have := @draw_sound (next s steps) lo 0%uint63 M v0 erefl allm.
rewrite mulr0 mul0r add0r; apply: le_trans; apply: VL_le => c cl.
have c0 : (0 <= c)%Z by rewrite /low /= in lo0; lia.
by rewrite /value walk /next Z2Nat.inj_add // Nat.add_1_r.
Qed.

Lemma draws_sound m wait s steps st st' : (0 <= low st)%Z -> draws a b small m.+1 wait st = Some st' ->
  bound (value (rcons (nseq m None) s ++ steps)) st <= bound (next s steps) st' /\ (0 <= low st')%Z.
Proof.
elim: m wait st => [|m IH] wait st lo0; rewrite [draws _ _ _ _ _ _]/=.
  case E: draw1 => [st1|//]; have [le1 lo1] := @draw1_sound s steps st st1 lo0 E.
  case: wait => [|w] [<-] //; have [le2 lo2] := @trim_sound (next s steps) st1 (next01 s steps) lo1.
  by split=> //; apply: le_trans le1 le2.
case E: draw1 => [st1|//].
have [le1 lo1] := @draw1_sound None (rcons (nseq m None) s ++ steps) st st1 lo0 E.
case: wait => [|w] D.
  have [le2 lo2] := @trim_sound (value (rcons (nseq m None) s ++ steps)) st1 (value01 _) lo1.
  have [le3 lo3] := IH 15%N _ lo2 D; split=> //.
  by apply: le_trans le1 (le_trans le2 le3).
have [le3 lo3] := IH w _ lo1 D; split=> //; exact: le_trans le1 le3.
Qed.

Lemma look_sound ac re steps lo M acc : (0 <= lo)%Z -> (re <= ac)%Z ->
  bound (next (Some (Z.to_nat ac, Z.to_nat re)) steps) (lo, M, acc)
    <= bound (value steps) (look ac re lo M acc) /\ (0 <= low (look ac re lo M acc))%Z.
Proof.
move=> lo0 rele; set v := next _ _.
have v01 c : 0 <= v c <= 1 by exact: next01.
elim: M lo lo0 => [|x M IH] lo lo0 //; rewrite [look _ _ _ _ _]/=.
case: Z.ltb_spec => lore.
  have [|le l0] := IH (lo + 1)%Z; first by lia.
  split=> //; apply: le_trans le; rewrite /bound /= ler_add2r.
  have -> : v lo = 0; last by rewrite mulr0 add0r.
  rewrite /v /next /=; case: (leqP (Z.to_nat ac) (Z.to_nat lo)) => [h|_]; first by exfalso; lia.
  by case: (ltnP (Z.to_nat lo)) => // h; exfalso; lia.
split=> //; rewrite /bound.
move: (x :: M) => {x IH} {}M; set d := Z.to_nat _.
rewrite -[X in VL v lo X](cat_take_drop d M) VL_cat -addrA; apply: ler_add; last exact: sum_sound.
apply: VL_le => c [cl cu].
have cac : (c < ac)%Z.
  have td : (size (take d M) <= d)%N by rewrite size_take; case: ltnP.
  have dE : d = Z.to_nat (ac - lo) by [].
  by move: td cu; clearbody d; move: (size _) => t; lia.
rewrite /v /next /after; case: (leqP (Z.to_nat ac) (Z.to_nat c)) => [h|_]; first by exfalso; lia.
by case: (ltnP (Z.to_nat c)) => // h; exfalso; lia.
Qed.

Definition steps_of (looks : seq (Z * Z * Z)) : plan :=
  expand [seq (Z.to_nat l.1.1, Z.to_nat l.1.2, Z.to_nat l.2) | l <- looks].

Lemma follow_sound looks st total : (0 <= low st)%Z -> follow a b small looks st = Some total ->
  bound (value (steps_of looks)) st <= Zr total.
Proof.
elim: looks st => [|[[m ac] re] looks IH] st lo0 /=.
  case=> <-; case: st lo0 => [[lo M] acc] /= _; rewrite ger_addr.
  by elim: M lo => [|x M IH] lo //=; rewrite {1}/value Pr0 mulr0 add0r.
case: Z.leb_spec => // m0; case: Z.ltb_spec => //= acre.
have -> : Z.to_nat m = (Z.to_nat m).-1.+1 by lia.
case E: draws => [[[lo M] acc]|//] F.
have [le1 lo1] := @draws_sound _ _ (Some (Z.to_nat ac, Z.to_nat re)) (steps_of looks) _ _ lo0 E.
have [le2 lo2] := @look_sound ac re (steps_of looks) lo M acc lo1 acre.
exact: le_trans le1 (le_trans le2 (IH _ lo2 F)).
Qed.

End Walk.

(** If seq_ok passes the looks and boundaries of a test, the test certifies with probability at most
    an / ad under A / B.
    Book: eq-walk. *)
Theorem seq_ok_sound A B looks small an ad : seq_ok A B looks small an ad ->
  error (steps_of looks) (Zr A / Zr B) <= Zr an / Zr ad.
Proof.
rewrite /seq_ok; set a := cdiv _ _; set b := cdiv _ _.
case/and5P=> /Z.ltb_spec0 A0 /Z.ltb_spec0 AB /Z.ltb_spec0 aw /Z.ltb_spec0 bw /andP[/Z.ltb_spec0 ad0].
case E: follow => [total|//] /Z.leb_spec0 fin.
have B0 : (0 < B)%Z by lia.
have over0 : (0 < over)%Z by [].
have num_of z : (0 <= z < over)%Z -> num (of_Z z) = z by move=> zw; rewrite of_Z_spec Z.mod_small.
have cdiv0 x : (0 <= x)%Z -> (0 <= cdiv x B)%Z by move=> x0; apply: Z.div_pos; lia.
have a0 : (0 <= a)%Z by apply: cdiv0; nia.
have b0 : (0 <= b)%Z by apply: cdiv0; nia.
set p := Zr A / Zr B.
have p01 : 0 <= p <= 1.
  by rewrite /p divr_ge0 ?Zr_ge0 //= ?ler_pdivr_mulr ?mul1r ?Zr_gt0 ?Zr_le //; lia.
have scaled x y : (Zr x * Zr over <= Zr (cdiv (x * over) B) * Zr B) -> y = Zr x / Zr B ->
    y <= Zr (cdiv (x * over) B) / Zr over.
  move=> le ->; rewrite ler_pdivl_mulr ?Zr_gt0 // mulrAC ler_pdivr_mulr ?Zr_gt0 //.
have pa : p <= Zr (num (of_Z a)) / Zr over.
  by rewrite num_of //; apply: scaled => //; rewrite -ZrM Zr_cdiv.
have qb : 1 - p <= Zr (num (of_Z b)) / Zr over.
  rewrite num_of //; apply: scaled; first by rewrite -ZrM Zr_cdiv.
  by rewrite /p ZrB mulrBl divff // gt_eqF ?Zr_gt0.
have := @follow_sound _ _ small p p01 pa qb looks (0%Z, [:: of_Z unit], 0%Z) total (Z.le_refl 0) E.
have -> : bound (value p (steps_of looks)) (0%Z, [:: of_Z unit], 0%Z) = Zr unit * error (steps_of looks) p.
  by rewrite -[in RHS](num_of unit) // /bound /= !addr0.
move=> le.
rewrite ler_pdivl_mulr ?Zr_gt0 // -(ler_pmul2l (_ : 0 < Zr unit)) ?Zr_gt0 //.
rewrite mulrA; apply: (@le_trans _ _ (Zr total * Zr ad)).
  by rewrite ler_wpmul2r ?Zr_ge0 //; lia.
by rewrite -!ZrM; apply: Zr_le; lia.
Qed.

(** If seq_ok passes the looks and boundaries of a test, the test certifies with probability at most
    an / ad under every p up to A / B.
    Book: eq-walk, prop-coupling. *)
Theorem seq_ok_valid A B looks small an ad p : seq_ok A B looks small an ad ->
  0 <= p <= Zr A / Zr B -> error (steps_of looks) p <= Zr an / Zr ad.
Proof.
move=> ok /andP[p0 pA]; apply: le_trans (seq_ok_sound ok); apply: error_mono => //.
move: ok; rewrite /seq_ok => /and5P[/Z.ltb_spec0 A0 /Z.ltb_spec0 AB _ _ _].
by rewrite ler_pdivr_mulr ?mul1r ?Zr_gt0 ?Zr_le //; lia.
Qed.

End Soundness.
