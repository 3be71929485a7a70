(* Votes of parts that do not know each other: partitions of the training data, workers, groups of workers.
   Book: thm-fw-votes, prop-fw-groups. *)
From mathcomp Require Import all_ssreflect zify.
From Formal Require Import Bands Votes.
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.

Section OneVote.

(* Each part q votes for one class, vote q. *)
Variables (Q : finType) (K : nat).
Implicit Types vote : Q -> nat.

Definition cast vote (q : Q) (k : nat) := vote q == k.
Definition answers vote := ans K (cast vote).
Definition differ vote vote' := [set q | vote q != vote' q].

(** Let each part vote for one class, and let at most f parts change their votes. If c leads every class by
    2 f votes, and by one more where that class has the smaller index, then c stays the answer.
    Book: thm-fw-votes. *)
Theorem parts_sound f vote vote' c : c < K -> #|differ vote vote'| <= f ->
  (forall k, k < K -> k != c -> count (cast vote) k + (k < c) + 2 * f <= count (cast vote) c) ->
  answers vote' = c.
Proof.
move=> cK few; apply: (@counts_sound Q K (differ vote vote') f (cast vote)) => // q k.
by rewrite inE negbK /cast => /eqP->.
Qed.

Lemma count_cast vote k : count (cast vote) k = #|[set q | vote q == k]|.
Proof. by rewrite -sum1_card [RHS]big_mkcond; apply: eq_bigr => q _; rewrite inE /cast; case: (_ == _). Qed.

(** Whatever the votes are, if c leads some class by less than that, some votes that differ in at most f
    parts have an answer other than c.
    Book: thm-fw-votes. *)
Theorem parts_tight f vote c k : 0 < #|Q| -> (forall q, vote q < K) -> c < K -> k < K -> k != c ->
  count (cast vote) c < count (cast vote) k + (k < c) + 2 * f ->
  exists2 vote', #|differ vote vote'| <= f & answers vote' != c.
Proof.
move=> Q0 inK cK kK kc fails.
have [isc|] := eqVneq (answers vote) c; last by exists vote => //; rewrite (_ : differ _ _ = set0) ?cards0 //;
  apply/setP => q; rewrite !inE eqxx.
pose C := [set q | vote q == c]; pose A : {set Q} := [set q in take f (enum C)].
have AC : A \subset C by apply/subsetP => q; rewrite inE => /mem_take; rewrite mem_enum.
have cardA : #|A| = minn f #|C|.
  by rewrite card_seq_set ?take_uniq ?enum_uniq // size_take -cardE.
clearbody A; exists (fun q => if q \in A then k else vote q).
  apply: (@leq_trans #|A|); last by rewrite cardA geq_minl.
  by apply: subset_leq_card; apply/subsetP => q; rewrite inE; case: ifP => //; rewrite eqxx.
set vote' := fun q => _.
have nc : count (cast vote') c = #|C| - #|A|.
  rewrite count_cast -cardsDS //; apply: eq_card => q; rewrite !inE /vote'.
  by case: (q \in A); rewrite ?(negPf kc).
have nk : count (cast vote') k = count (cast vote) k + #|A|.
  have apart : [disjoint [set q | vote q == k] & A].
    rewrite disjoint_subset; apply/subsetP => q; rewrite !inE => /eqP vk; apply/negP => qA.
    by have := subsetP AC q qA; rewrite inE vk (negPf kc).
  rewrite !count_cast -[RHS]subn0 -(cards0 Q) -(disjoint_setI0 apart) -cardsU.
  by apply: eq_card => q; rewrite !inE /vote'; case: (q \in A); rewrite ?eqxx ?orbT ?orbF.
have C0 : 0 < #|C|.
  have /(answerP _ cK) win := isc.
  rewrite lt0n; apply/negP => /eqP none; case/card_gt0P: Q0 => q _.
  have own : 0 < #|[set t | vote t == vote q]| by apply/card_gt0P; exists q; rewrite inE.
  have [vc|vc] := eqVneq (vote q) c; first by rewrite vc -/C none in own.
  by have := win (vote q) (inK q) vc; rewrite !count_cast -/C none; lia.
apply/eqP => /(answerP _ cK) /(_ k kK kc); rewrite nc nk cardA.
move: fails; rewrite [count (cast vote) c]count_cast -/C; lia.
Qed.

End OneVote.

Section Samples.

(* Training samples i, each in one part; a part's vote depends on its own samples only. *)
Variables (sample : eqType) (I Q : finType) (K : nat) (part : I -> Q).
Variable vote : Q -> (I -> option sample) -> nat.
Hypothesis vote_ext : forall q s s', s =1 s' -> vote q s = vote q s'.

Definition own (data : I -> sample) (q : Q) : I -> option sample :=
  fun i => if part i == q then Some (data i) else None.
Definition of_parts data q := vote q (own data q).

(** Any learners, each of which sees one part of the training samples: if c leads every class by 2 f votes,
    and by one more where that class has the smaller index, then the answer is c for all training samples
    that differ in at most f.
    Book: thm-fw-votes. *)
Theorem samples_certificate f (data data' : I -> sample) c : c < K ->
  #|[set i | data i != data' i]| <= f ->
  (forall k, k < K -> k != c ->
     count (cast (of_parts data)) k + (k < c) + 2 * f <= count (cast (of_parts data)) c) ->
  answers K (of_parts data') = c.
Proof.
move=> cK few; apply: parts_sound => //; apply: leq_trans few.
apply: leq_trans (leq_imset_card part _); apply: subset_leq_card; apply/subsetP => q.
rewrite inE => changes; apply: contraT => none; case/negP: changes; apply/eqP; apply: vote_ext => i.
rewrite /own; case: eqP => // iq; congr Some; apply/eqP; apply: contraR none => di.
by apply/imsetP; exists i; rewrite ?inE.
Qed.

End Samples.

Section Groups.

(* One model for every group of m of n workers; it depends on what its own workers send. *)
Variables (message : eqType) (n m K : nat).
Variable model : {set 'I_n} -> ('I_n -> option message) -> nat.
Hypothesis model_ext : forall S s s', s =1 s' -> model S s = model S s'.

Definition sent (said : 'I_n -> message) (S : {set 'I_n}) : 'I_n -> option message :=
  fun w => if w \in S then Some (said w) else None.
Definition of_groups said (S : {set 'I_n}) k := (#|S| == m) && (model S (sent said S) == k).
Definition touched f := 'C(n, m) - 'C(n - f, m).

Lemma card_groups : #|[set S : {set 'I_n} | #|S| == m]| = 'C(n, m).
Proof. by rewrite card_draws card_ord. Qed.

Lemma card_touched (F : {set 'I_n}) :
  #|[set S : {set 'I_n} | (#|S| == m) && ~~ [disjoint S & F]]| = touched #|F|.
Proof.
pose G := [set S : {set 'I_n} | #|S| == m]; pose U := [set S : {set 'I_n} | S \subset ~: F].
have out : n - #|F| = #|~: F| by rewrite [RHS]cardsCs setCK card_ord.
have apart : #|G :&: U| = 'C(n - #|F|, m).
  by rewrite out -cards_draws; apply: eq_card => S; rewrite !inE andbC.
rewrite /touched -card_groups -/G -apart -cardsD.
by apply: eq_card => S; rewrite !inE disjoints_subset andbC.
Qed.

(** Any model of each group of m of n workers: if c leads every class by twice the number
    C(n, m) - C(n - f, m) of groups that f workers belong to, and by one more where that class has the
    smaller index, then the answer is c whatever at most f workers send.
    Book: prop-fw-groups. *)
Theorem groups_certificate f (said said' : 'I_n -> message) c : c < K ->
  #|[set w | said w != said' w]| <= f ->
  (forall k, k < K -> k != c ->
     count (of_groups said) k + (k < c) + 2 * touched f <= count (of_groups said) c) ->
  ans K (of_groups said') = c.
Proof.
set F := [set w | _] => cK few.
apply: (@counts_sound _ K [set S : {set 'I_n} | (#|S| == m) && ~~ [disjoint S & F]] (touched f)) => //.
  move=> S k; rewrite inE /of_groups negb_and negbK; case: eqP => //= _ apart; congr (_ == _).
  apply: model_ext => w; rewrite /sent; case: ifP => // wS; congr Some; apply/eqP.
  by have := disjointFr apart wS; rewrite inE => /negbFE.
by rewrite card_touched /touched leq_sub2l // leq_bin2l // leq_sub2l.
Qed.

(** No votes of groups meet that condition, with a second class to be led, once f workers touch more than
    half of the groups.
    Book: prop-fw-groups. *)
Theorem groups_limit f (said : 'I_n -> message) c k : 'C(n, m) < 2 * touched f ->
  count (of_groups said) c < count (of_groups said) k + (k < c) + 2 * touched f.
Proof.
move=> half; apply: leq_ltn_trans (leq_trans half _); last by rewrite leq_addl.
rewrite -card_groups -sum1_card [X in _ <= X]big_mkcond; apply: leq_sum => S _.
by rewrite inE /of_groups; case: (#|S| == m) => //=; case: (_ == _).
Qed.

End Groups.
