(* Which bands, and which blocks, meet a patch.  Book: thm-dp-bands, cor-dp-blocks. *)
From mathcomp Require Import all_ssreflect zify.
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.

Section Bands.

Variables W s m p : nat.
(* W columns on a circle; bands of s columns from each column on; a patch of the m columns
   p ... p + m - 1, inside the image. *)

Definition in_band (q c : nat) := [exists j : 'I_s, (q + j) %% W == c].
Definition in_patch (c : nat) := (p <= c < p + m).
Definition meets (q : nat) := [exists c : 'I_W, in_band q c && in_patch c].

Hypotheses (s_gt0 : 0 < s) (m_gt0 : 0 < m) (inside : p + m <= W).

(* The start of the arc A(p) of the book, p - s + 1, moved up by s rounds. *)
Let first := p + s * W - s.-1.

Lemma firstE i : s.-1 <= i -> first + i = s * W + (p + (i - s.-1)).
Proof.
have W_gt0 : 0 < W by lia.
have := leq_pmulr s W_gt0; rewrite /first; move: (s * W) => K; lia.
Qed.

(** A band q meets the patch exactly if it starts on the arc of the s + m - 1 columns from p - s + 1 to
    p + m - 1, around the circle. (The statement moves p - s + 1 up by s rounds: a natural number.)
    Book: thm-dp-bands, eq-dp-reach. *)
Theorem meets_arc q : q < W ->
  reflect (exists2 i, i < s + m - 1 & (first + i) %% W = q) (meets q).
Proof.
move=> q_lt; apply: (iffP existsP).
  case=> c /andP[/existsP[j /eqP jc] /andP[pc cp]].
  have jlt := ltn_ord j; exists (c - p + (s.-1 - j)); first by clear jc; lia.
  apply/eqP; rewrite -[X in _ == X](modn_small q_lt) -(eqn_modDr j) -addnA firstE; last first.
    by clear jc; lia.
  rewrite modnMDl jc modn_small; last by clear jc; lia.
  by apply/eqP; clear jc; lia.
case=> i ilt iq; pose u := minn i m.-1; pose j := s.-1 + u - i.
have ult : p + u < W by rewrite /u; clear iq; lia.
have jlt : j < s by rewrite /j /u; clear iq; lia.
exists (Ordinal ult); apply/andP; split; last by rewrite /in_patch /= /u; clear iq; lia.
apply/existsP; exists (Ordinal jlt); rewrite /= -iq modnDml -addnA firstE; last first.
  by rewrite /j /u; clear iq; lia.
rewrite modnMDl modn_small; first by apply/eqP; rewrite /j /u; clear iq; lia.
by rewrite /j /u; clear iq; lia.
Qed.

(** Of W bands that wrap, a patch of m columns inside the image meets exactly min(W, s + m - 1),
    wherever it lies.
    Book: thm-dp-bands. *)
Theorem card_meets : #|[set q : 'I_W | meets q]| = minn W (s + m - 1).
Proof.
have W_gt0 : 0 < W by lia.
pose f (i : 'I_(minn W (s + m - 1))) : 'I_W := Ordinal (ltn_pmod (first + i) W_gt0).
have f_inj : injective f.
  move=> i k /(congr1 val) /= /eqP; rewrite eqn_modDl => /eqP.
  have := ltn_ord i; have := ltn_ord k; rewrite !leq_min => /andP[kW _] /andP[iW _].
  by rewrite !modn_small // => /val_inj.
rewrite -[RHS]card_ord -(card_imset predT f_inj); apply: eq_card => q.
rewrite !inE; apply/(meets_arc (ltn_ord q))/imsetP.
  case=> i ilt iq; have kW := ltn_pmod i W_gt0; have kle := leq_mod i W.
  have klt : i %% W < minn W (s + m - 1) by rewrite leq_min kW (leq_ltn_trans kle ilt).
  by exists (Ordinal klt) => //; apply: val_inj; rewrite /= modnDmr.
case=> i _ ->; exists i => //; apply: leq_trans (ltn_ord i) (geq_minr _ _).
Qed.

(** If bands do not wrap, so that they start at 0 ... W - s only, the patch meets at most
    min(W - s + 1, s + m - 1) of them.
    Book: thm-dp-bands. *)
Theorem card_meets_inside : s <= W ->
  #|[set q : 'I_W | (q <= W - s) && meets q]| <= minn (W - s + 1) (s + m - 1).
Proof.
move=> sW; rewrite leq_min; apply/andP; split; last first.
  apply: (@leq_trans #|[set q : 'I_W | meets q]|); last by rewrite card_meets geq_minr.
  by apply: subset_leq_card; apply/subsetP => q; rewrite !inE => /andP[].
have le : W - s + 1 <= W by lia.
rewrite -[X in _ <= X]card_ord -cardsT.
apply: leq_trans (leq_imset_card (widen_ord le) _); apply: subset_leq_card; apply/subsetP => q.
rewrite inE => /andP[qs _]; have q_lt : q < W - s + 1 by lia.
by apply/imsetP; exists (Ordinal q_lt) => //; apply: val_inj.
Qed.

End Bands.

Section Blocks.

(* cor-dp-blocks: a block meets a patch if its rows do and its columns do. *)
Variables H W s a b i0 j0 : nat.
Hypotheses (s_gt0 : 0 < s) (a_gt0 : 0 < a) (b_gt0 : 0 < b).
Hypotheses (rows : i0 + a <= H) (columns : j0 + b <= W).

Definition block_meets (q : 'I_H * 'I_W) :=
  [exists c : 'I_H * 'I_W, (in_band H s q.1 c.1 && in_band W s q.2 c.2)
     && (in_patch a i0 c.1 && in_patch b j0 c.2)].

(** Of the H W blocks of s x s pixels that wrap, a patch of a x b pixels inside the image meets exactly
    min(H, s + a - 1) min(W, s + b - 1).
    Book: cor-dp-blocks. *)
Theorem card_block_meets :
  #|[set q | block_meets q]| = minn H (s + a - 1) * minn W (s + b - 1).
Proof.
rewrite -(card_meets s_gt0 a_gt0 rows) -(card_meets s_gt0 b_gt0 columns) -cardsX.
apply: eq_card => -[q r]; rewrite !inE /=; apply/existsP/andP.
  case=> -[c d] /andP[/andP[/= qc rd] /andP[/= cp dp]].
  by split; apply/existsP; [exists c | exists d]; apply/andP.
case=> /existsP[c /andP[qc cp]] /existsP[d /andP[rd dp]].
by exists (c, d); rewrite /= qc rd cp dp.
Qed.

End Blocks.
