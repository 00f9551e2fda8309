//! The sizes of a policy network and where its weights lie.

use super::OutputLayout;

/// A network of one encoder, one core and one layer of outputs:
///
/// `e = tanh(We x + be)`, then a gated recurrent unit (Cho et al. 2014, in the form of cuDNN, where
/// the reset gate acts after the product)
///
/// `r = s(Wr e + br + Ur h + cr)`, `z = s(Wz e + bz + Uz h + cz)`,
/// `m = tanh(Wn e + bn + r (Un h + cn))`, `h' = (1 - z) m + z h`
///
/// or, without memory, `h' = tanh(W e + b)`; then `y = Wo h' + bo`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NetworkShape {
    /// Rows of the input: what is observed, then the hidden quantities that the policy is told.
    pub inputs: usize,
    /// How many of the inputs are hidden quantities (a task-conditioned policy); 0 for a policy
    /// that has to find them out.
    pub sees_hidden: usize,
    /// Width of the encoder.
    pub encoder: usize,
    /// Width of the core.
    pub hidden: usize,
    /// Whether the core remembers.
    pub recurrent: bool,
    pub outputs: OutputLayout,
}

/// Where the weights lie in the one vector of parameters. Matrices are row-major `[out, in]`; the
/// gates of a recurrent core stand in the order r, z, n.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Offsets {
    /// `[encoder, inputs]`
    pub encoder_weight: usize,
    /// `[encoder]`
    pub encoder_bias: usize,
    /// `[gates * hidden, encoder]`
    pub core_weight: usize,
    /// `[gates * hidden]`
    pub core_bias: usize,
    /// `[gates * hidden, hidden]`, empty without memory.
    pub recurrent_weight: usize,
    /// `[gates * hidden]`, empty without memory.
    pub recurrent_bias: usize,
    /// `[rows, hidden]`
    pub output_weight: usize,
    /// `[rows]`
    pub output_bias: usize,
    /// Parameters in all.
    pub total: usize,
}

impl NetworkShape {
    /// Rows of the observation among the inputs.
    pub fn observed(&self) -> usize {
        self.inputs - self.sees_hidden
    }

    /// Blocks of `hidden` rows in the core's matrices.
    pub fn gates(&self) -> usize {
        if self.recurrent { 3 } else { 1 }
    }

    /// Size of the state that the policy carries from decision to decision.
    pub fn state(&self) -> usize {
        if self.recurrent { self.hidden } else { 0 }
    }

    /// Rows of the outputs.
    pub fn rows(&self) -> usize {
        self.outputs.rows()
    }

    pub fn offsets(&self) -> Offsets {
        let core = self.gates() * self.hidden;
        let recurrent = if self.recurrent { core } else { 0 };
        let lengths = [
            self.encoder * self.inputs,
            self.encoder,
            core * self.encoder,
            core,
            recurrent * self.hidden,
            recurrent,
            self.rows() * self.hidden,
            self.rows(),
        ];
        let mut ends = [0; 8];
        let mut end = 0;
        for (to, length) in ends.iter_mut().zip(lengths) {
            end += length;
            *to = end;
        }
        Offsets {
            encoder_weight: 0,
            encoder_bias: ends[0],
            core_weight: ends[1],
            core_bias: ends[2],
            recurrent_weight: ends[3],
            recurrent_bias: ends[4],
            output_weight: ends[5],
            output_bias: ends[6],
            total: ends[7],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Head;

    fn shape(recurrent: bool) -> NetworkShape {
        NetworkShape {
            inputs: 3,
            sees_hidden: 1,
            encoder: 5,
            hidden: 7,
            recurrent,
            outputs: OutputLayout {
                heads: vec![Head::Categorical { levels: 2 }],
                ..OutputLayout::default()
            },
        }
    }

    #[test]
    fn weights_follow_each_other() {
        let at = shape(true).offsets();
        assert_eq!(at.encoder_bias, 15);
        assert_eq!(at.core_weight, 20);
        assert_eq!(at.core_bias, 20 + 21 * 5);
        assert_eq!(at.recurrent_weight, 125 + 21);
        assert_eq!(at.recurrent_bias, 146 + 21 * 7);
        assert_eq!(at.output_weight, 293 + 21);
        assert_eq!(at.output_bias, 314 + 3 * 7);
        assert_eq!(at.total, 335 + 3);
    }

    #[test]
    fn without_memory_there_are_no_recurrent_weights() {
        let shape = shape(false);
        let at = shape.offsets();
        assert_eq!(at.recurrent_weight, at.recurrent_bias);
        assert_eq!(at.output_weight, at.recurrent_bias);
        assert_eq!(at.total, 20 + 7 * 5 + 7 + 3 * 7 + 3);
        assert_eq!(shape.state(), 0);
        assert_eq!(shape.observed(), 2);
    }
}
