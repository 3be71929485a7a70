(* Sequential tests with two integers a look.
   Book: prop-coupling (errors are largest at p0), prop-nested, and the error of eq-walk. *)
From mathcomp Require Import all_ssreflect all_algebra.
From Formal Require Import Binomial.
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.
Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

(* One entry a vote.  None: no look after this vote.  Some (a, r): certify from a successes on, give
   up below r, else go on. *)
Definition plan := seq (option (nat * nat)).

Fixpoint certifies (steps : plan) (c : nat) (w : seq bool) : bool :=
  match steps, w with
  | s :: steps', b :: w' =>
      let c' := (c + b)%N in
      match s with
      | Some (a, r) => if (a <= c')%N then true else if (c' < r)%N then false
                       else certifies steps' c' w'
      | None => certifies steps' c' w'
      end
  | _, _ => false
  end.

(* Whether the test has certified or given up within the votes w. *)
Fixpoint decided (steps : plan) (c : nat) (w : seq bool) : bool :=
  match steps, w with
  | s :: steps', b :: w' =>
      let c' := (c + b)%N in
      match s with
      | Some (a, r) => [|| (a <= c')%N, (c' < r)%N | decided steps' c' w']
      | None => decided steps' c' w'
      end
  | _, _ => false
  end.

(** Once a test is decided, it needs no more votes: whatever follows, it says the same.
    Book: prop-coupling, eq-walk. *)
Theorem stop_early (steps : plan) c (w later : seq bool) :
  decided steps c w -> certifies steps c (w ++ later) = certifies steps c w.
Proof.
elim: steps c w => [|s steps IH] c [|b w] //=; case: s => [[a r]|]; last exact: IH.
by case: (leqP a (c + b)) => //= _; case: (leqP r (c + b)) => //= _; apply: IH.
Qed.

(* From the arrays of the library: votes since the last look, accept, reject + 1. *)
Definition expand (looks : seq (nat * nat * nat)) : plan :=
  flatten [seq rcons (nseq l.1.1.-1 None) (Some (l.1.2, l.2)) | l <- looks].

Lemma certifies_incr steps c c' w w' : (c <= c')%N -> all2 implb w w' ->
  certifies steps c w -> certifies steps c' w'.
Proof.
elim: steps c c' w w' => [|s steps IH] c c' [|b w] [|b' w'] //= cc /andP[bb ww].
have le : (c + b <= c' + b')%N by rewrite leq_add //; case: b b' bb => -[].
case: s => [[a r]|]; last exact: IH.
case: (leqP a (c + b)) => [/leq_trans/(_ le)->//|_].
case: (leqP r (c + b)) => // rc; case: (leqP a (c' + b')) => // _.
by rewrite ltnNge (leq_trans rc le) /=; apply: IH.
Qed.

(* A plan with both boundaries raised certifies only where the first does. *)
Definition raised (s s' : option (nat * nat)) := match s, s' with
  | Some (a, r), Some (a', r') => (a <= a')%N && (r <= r')%N
  | None, None => true
  | _, _ => false
  end.

Lemma raised_sub steps steps' c w : all2 raised steps steps' ->
  certifies steps' c w -> certifies steps c w.
Proof.
elim: steps steps' c w => [|s steps IH] [|s' steps'] c [|b w] //= /andP[ss up].
case: s s' ss => [[a r]|] [[a' r']|] //= => [/andP[aa rr]|_]; last exact: IH.
case: (leqP a (c + b)) => // ca; rewrite leqNgt (leq_trans ca aa) /=.
case: (leqP r' (c + b)) => // rc; rewrite ltnNge (leq_trans rr rc) /=; exact: IH.
Qed.

(* The larger of two boundaries at each look: a step of the running maximum over tests. *)
Definition larger (s s' : option (nat * nat)) := match s, s' with
  | Some (a, r), Some (a', r') => Some (maxn a a', maxn r r')
  | _, _ => s'
  end.
Definition same_looks (s s' : option (nat * nat)) := isSome s == isSome s'.

(** Of two tests with the same looks, replacing the second by the larger of both at each look makes the
    boundaries nested, and only raises those of the second.
    Book: prop-nested. *)
Theorem running_maximum (steps steps' : plan) : all2 same_looks steps steps' ->
  let top := [seq larger s.1 s.2 | s <- zip steps steps'] in
  all2 raised steps top /\ all2 raised steps' top.
Proof.
elim: steps steps' => [|s steps IH] [|s' steps'] //= /andP[ss /IH[up up']].
case: s s' ss => [[a r]|] [[a' r']|] //= _; rewrite up up' ?andbT //.
by rewrite !leq_maxl !leq_maxr.
Qed.

Section Errors.

Variable R : realFieldType.
Implicit Types (p : R) (steps : plan).

Definition error steps p : R := Pr p (size steps) (certifies steps 0).

(** Whatever the looks and boundaries, the probability that a sequential test certifies does not fall
    with p.
    Book: prop-coupling. *)
Theorem error_mono steps p q : 0 <= p -> p <= q -> q <= 1 -> error steps p <= error steps q.
Proof. by move=> p0 pq q1; apply: Pr_mono => // w w' ww; apply: certifies_incr. Qed.

(** Let tests of p_1 <= ... <= p_m with boundaries that do not fall each certify with probability at most
    alpha under their own p_j. Then, whatever p is, some p_j >= p is certified with probability at most
    alpha.
    Book: prop-nested. *)
Theorem nested m (tests : 'I_m -> plan) (p : 'I_m -> R) N alpha x : 0 <= alpha -> 0 <= x ->
  (forall j, size (tests j) = N) -> (forall j, p j <= 1) ->
  (forall i j : 'I_m, (i <= j)%N -> p i <= p j /\ all2 raised (tests i) (tests j)) ->
  (forall j, error (tests j) (p j) <= alpha) ->
  Pr x N (fun w => [exists j : 'I_m, (x <= p j) && certifies (tests j) 0 w]) <= alpha.
Proof.
move=> a0 x0 sizes p1 nest level.
have [/existsP[j0 xj0]|none] := boolP [exists j : 'I_m, x <= p j]; last first.
  rewrite /Pr big1 // => w /existsP[j /andP[xj _]]; case/existsP: none; by exists j.
case: (@arg_minnP _ j0 (fun j => x <= p j) (fun j : 'I_m => val j) xj0) => s xs small.
apply: le_trans (level s); apply: le_trans (error_mono _ x0 xs (p1 s)).
rewrite /error sizes; apply: Pr_sub; first by rewrite x0 (le_trans xs).
move=> w _ /existsP[j /andP[xj cj]].
have [_ up] := nest s j (small j xj); exact: raised_sub up cj.
Qed.

(** The table as the engine runs it: the class is chosen from other samples, by any law on finitely many
    outcomes, and all tests read the same votes for it. If the tests are nested and of level alpha, as
    above, then some p_j >= the class's own probability is certified with probability at most alpha.
    Book: prop-nested, thm-certify. *)
Theorem chosen_nested (O : finType) (mu : O -> R) (C : Type) (chosen : O -> C) (g : C -> R)
    m (tests : 'I_m -> plan) (p : 'I_m -> R) N alpha : 0 <= alpha ->
  (forall o, 0 <= mu o) -> \sum_o mu o = 1 -> (forall c, 0 <= g c) ->
  (forall j, size (tests j) = N) -> (forall j, p j <= 1) ->
  (forall i j : 'I_m, (i <= j)%N -> p i <= p j /\ all2 raised (tests i) (tests j)) ->
  (forall j, error (tests j) (p j) <= alpha) ->
  \sum_o mu o * Pr (g (chosen o)) N
    (fun w => [exists j : 'I_m, (g (chosen o) <= p j) && certifies (tests j) 0 w]) <= alpha.
Proof.
move=> a0 mu0 mu1 g0 sizes p1 nest level; apply: (@le_trans _ _ (\sum_o mu o * alpha)); last first.
  by rewrite -mulr_suml mu1 mul1r.
by apply: ler_sum => o _; rewrite ler_wpmul2l ?nested.
Qed.

Lemma raised_size steps steps' : all2 raised steps steps' -> size steps = size steps'.
Proof. by elim: steps steps' => [|s steps IH] [|s' steps'] //= /andP[_ /IH->]. Qed.

(** A test whose boundaries are raised, at the same looks, certifies with no larger probability.
    Book: prop-nested. *)
Theorem raised_error steps steps' p : 0 <= p <= 1 -> all2 raised steps steps' ->
  error steps' p <= error steps p.
Proof.
move=> p01 up; rewrite /error -(raised_size up); apply: Pr_sub => // w _; exact: raised_sub.
Qed.

(* The walk: what one vote does. *)
Definition after p (s : option (nat * nat)) steps c : R := match s with
  | Some (a, r) => if (a <= c)%N then 1 else if (c < r)%N then 0
                   else Pr p (size steps) (certifies steps c)
  | None => Pr p (size steps) (certifies steps c)
  end.

Lemma walk p s steps c : Pr p (size (s :: steps)) (certifies (s :: steps) c) =
  p * after p s steps c.+1 + (1 - p) * after p s steps c.
Proof.
rewrite /= PrS /after /= addn1 addn0; case: s => [[a r]|] //.
by congr (_ * _ + _ * _); (case: ifP => _; [exact: Pr_total |]); case: ifP => _ //;
   rewrite /Pr big1.
Qed.

End Errors.
