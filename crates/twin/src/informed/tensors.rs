//! An operation list evaluated in tensors: any block of a compiled program, for many patients and
//! instants at once, differentiable by Burn. One launch per operation: for blocks between two
//! networks, not for a simulation.

use burn::tensor::{Device, Tensor};
use posology_model::graph::{Binary, Unary, apply_binary, apply_unary};
use posology_model::program::{Block, Kind};

/// What a block's leaves read. Every tensor is `[patients, points]`, or has 1 instead of either.
/// Slots, states and rates in coherent units.
#[derive(Clone, Debug)]
pub struct Leaves {
    pub states: Vec<Tensor<2>>,
    pub slots: Vec<Tensor<2>>,
    pub carried: Vec<Tensor<2>>,
    /// Running infusion rates.
    pub inputs: Vec<Tensor<2>>,
    /// `[patients, points]`, the shape of what comes out.
    pub time: Tensor<2>,
    /// Time after dose.
    pub tad: Tensor<2>,
}

/// A block reads something that it was not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("operation {operation} reads {what} {index}, which is not given")]
pub struct MissingLeaf {
    pub operation: usize,
    pub what: &'static str,
    pub index: usize,
}

#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "most are tensors, and a block has some hundred"
)]
enum Value {
    Number(f64),
    Tensor(Tensor<2>),
}

/// The outputs of `block`, each of the shape of `leaves.time`.
///
/// Comparisons give 0 and 1 and have no derivative. A value that [`Kind::Select`] does not choose has
/// no weight in a derivative, but must be finite together with its own derivatives (0 times infinity).
///
/// # Errors
/// When a leaf is not among `leaves` (a seed never is).
pub fn evaluate(block: &Block, leaves: &Leaves) -> Result<Vec<Tensor<2>>, MissingLeaf> {
    let device = leaves.time.device();
    let shape = leaves.time.dims();
    let mut values: Vec<Value> = Vec::with_capacity(block.ops.len());
    for (operation, op) in block.ops.iter().enumerate() {
        let missing = |what, index: u32| MissingLeaf {
            operation,
            what,
            index: index as usize,
        };
        let earlier = |index: u32| {
            let value = values.get(index as usize).cloned();
            value.ok_or(missing("operation", index))
        };
        let leaf = |rows: &[Tensor<2>], what| {
            let row = rows.get(op.a as usize).cloned();
            row.map(Value::Tensor).ok_or(missing(what, op.a))
        };
        let value = match op.kind {
            Kind::Const => Value::Number(f64::from_bits(op.bits)),
            Kind::State => leaf(&leaves.states, "state")?,
            Kind::Slot => leaf(&leaves.slots, "slot")?,
            Kind::Carry => leaf(&leaves.carried, "carried value")?,
            Kind::Input => leaf(&leaves.inputs, "input")?,
            Kind::Seed => return Err(missing("seed", op.a)),
            Kind::Time => Value::Tensor(leaves.time.clone()),
            Kind::Tad => Value::Tensor(leaves.tad.clone()),
            Kind::Unary(kind) => match earlier(op.a)? {
                Value::Number(a) => Value::Number(apply_unary(kind, a)),
                Value::Tensor(a) => Value::Tensor(unary(kind, a)),
            },
            Kind::Binary(kind) => binary(kind, earlier(op.a)?, earlier(op.b)?, &device),
            Kind::Select => match earlier(op.a)? {
                Value::Number(chosen) => earlier(if chosen != 0.0 { op.b } else { op.c })?,
                Value::Tensor(condition) => {
                    let [a, b] = [earlier(op.b)?, earlier(op.c)?].map(|v| lifted(v, &device));
                    let (a, b) = common(a, b);
                    let (condition, a) = common(condition, a);
                    let (b, _) = common(b, condition.clone());
                    Value::Tensor(b.mask_where(condition.not_equal_scalar(0.0), a))
                }
            },
        };
        values.push(value);
    }
    let output = |&index: &u32| {
        let value = values.get(index as usize).cloned().ok_or(MissingLeaf {
            operation: block.ops.len(),
            what: "operation",
            index: index as usize,
        })?;
        let value = lifted(value, &device);
        Ok(if value.dims() == shape {
            value
        } else {
            value.expand(shape)
        })
    };
    block.outputs.iter().map(output).collect()
}

fn lifted(value: Value, device: &Device) -> Tensor<2> {
    match value {
        Value::Number(number) => Tensor::full([1, 1], number, device),
        Value::Tensor(tensor) => tensor,
    }
}

/// Both in the shape that holds both.
fn common(a: Tensor<2>, b: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let ([a0, a1], [b0, b1]) = (a.dims(), b.dims());
    let shape = [a0.max(b0), a1.max(b1)];
    let widened = |tensor: Tensor<2>| {
        if tensor.dims() == shape {
            tensor
        } else {
            tensor.expand(shape)
        }
    };
    (widened(a), widened(b))
}

fn unary(op: Unary, a: Tensor<2>) -> Tensor<2> {
    match op {
        Unary::Neg => -a,
        Unary::Recip => a.recip(),
        Unary::Exp => a.exp(),
        Unary::Ln => a.log(),
        Unary::Log10 => a.log() * std::f64::consts::LOG10_E,
        Unary::Sqrt => a.sqrt(),
        Unary::Abs => a.abs(),
        Unary::Tanh => a.tanh(),
        Unary::Not => a.equal_scalar(0.0).float(),
    }
}

fn binary(op: Binary, a: Value, b: Value, device: &Device) -> Value {
    // arithmetic with a number needs no tensor for it
    let done = match (op, &a, &b) {
        (_, &Value::Number(a), &Value::Number(b)) => return Value::Number(apply_binary(op, a, b)),
        (Binary::Add, Value::Tensor(x), &Value::Number(c))
        | (Binary::Add, &Value::Number(c), Value::Tensor(x)) => Some(x.clone() + c),
        (Binary::Mul, Value::Tensor(x), &Value::Number(c))
        | (Binary::Mul, &Value::Number(c), Value::Tensor(x)) => Some(x.clone() * c),
        (Binary::Sub, Value::Tensor(x), &Value::Number(c)) => Some(x.clone() - c),
        (Binary::Sub, &Value::Number(c), Value::Tensor(x)) => Some(-x.clone() + c),
        (Binary::Div, Value::Tensor(x), &Value::Number(c)) => Some(x.clone() / c),
        (Binary::Div, &Value::Number(c), Value::Tensor(x)) => Some(x.clone().recip() * c),
        _ => None,
    };
    if let Some(done) = done {
        return Value::Tensor(done);
    }
    let (a, b) = (lifted(a, device), lifted(b, device));
    let is = |x: Tensor<2>| x.not_equal_scalar(0.0);
    Value::Tensor(match op {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        _ => {
            let (a, b) = common(a, b);
            match op {
                Binary::Pow => a.powf(b),
                Binary::Min => a.min_pair(b),
                Binary::Max => a.max_pair(b),
                Binary::Lt => a.lower(b).float(),
                Binary::Le => a.lower_equal(b).float(),
                Binary::Gt => a.greater(b).float(),
                Binary::Ge => a.greater_equal(b).float(),
                Binary::Eq => a.equal(b).float(),
                Binary::Ne => a.not_equal(b).float(),
                Binary::And => is(a).bool_and(is(b)).float(),
                _ => is(a).bool_or(is(b)).float(),
            }
        }
    })
}
