use super::*;
use proptest::prelude::*;

fn printed(text: &str) -> String {
    parse(text)
        .unwrap_or_else(|e| panic!("{text}: {e}"))
        .to_string()
}

fn failure(text: &str) -> (&'static str, Span, Option<String>) {
    let e = parse(text).expect_err(text);
    (e.code, e.span, e.help)
}

#[test]
fn precedence_is_that_of_mathematics() {
    assert_eq!(printed("a+b*c"), "a + b * c");
    assert_eq!(printed("(a+b)*c"), "(a + b) * c");
    assert_eq!(printed("a-(b-c)"), "a - (b - c)");
    assert_eq!(printed("(a-b)-c"), "a - b - c");
    assert_eq!(printed("a/(b*c)"), "a / (b * c)");
    assert_eq!(printed("-x^2"), "-x^2");
    assert_eq!(printed("(-x)^2"), "(-x)^2");
    assert_eq!(printed("2^-x^2"), "2^-x^2");
    assert_eq!(printed("a^b^c"), "a^b^c");
    assert_eq!(printed("(a^b)^c"), "(a^b)^c");
    assert_eq!(
        printed("not a < b and c>d or e"),
        "not a < b and c > d or e"
    );
    assert_eq!(printed("if(a>=0, -b, 75[mm])"), "if(a >= 0, -b, 75[mm])");
    assert_eq!(
        printed("sum[i,j](Q[i]*A[i , liver])"),
        "sum[i, j](Q[i] * A[i, liver])"
    );
    assert_eq!(printed("1.5e-3[1e9/L] * order"), "0.0015[1e9/L] * order");
}

#[test]
fn spans_cover_the_written_operand() {
    let tree = parse("a + (b * c)").expect("tree");
    let ExprKind::Chain { first, rest } = tree.kind else {
        panic!("chain")
    };
    assert_eq!((first.span, rest[0].1.span.clone()), (0..1, 4..11));
}

#[test]
fn grammar_errors_point_at_the_place_and_help() {
    assert_eq!(failure("a +"), ("M101", 3..3, None));
    assert_eq!(failure("a + * b").1, 4..5);
    assert_eq!(
        failure("2 x").2.as_deref().map(|h| h.contains('*')),
        Some(true)
    );
    assert_eq!(failure("a && b").2.as_deref(), Some("write `and`"));
    assert_eq!(
        failure("a ** b").2.as_deref(),
        Some("write `^` for a power")
    );
    assert_eq!(failure("a = b").2.as_deref(), Some("write `==` to compare"));
    assert_eq!(
        failure("(a + b").2.as_deref(),
        Some("a parenthesis is not closed")
    );
    assert_eq!(failure("  ").0, "M101");
    assert_eq!(failure("1e999").0, "M401");
    assert_eq!(failure("a µ b").1, 2..4);
}

#[test]
fn nesting_is_refused_before_anything_recurses() {
    for text in [
        "(".repeat(9000) + "1" + &")".repeat(9000),
        "-".repeat(15_000) + "1",
        "2^".repeat(9000) + "1",
        "not ".repeat(4500) + "a",
        "a*not ".repeat(3000) + "b",
        "f(".repeat(9000),
        "2^-(".repeat(4000),
        "x+".repeat(30_000) + "1",
    ] {
        assert_eq!(failure(&text).0, "M102");
    }
    // wide is fine, and so is the deepest nesting allowed, on the stack of a test thread
    assert!(parse(&("x+".repeat(9000) + "1")).is_ok());
    assert!(parse(&("2*-x+".repeat(3000) + "1")).is_ok());
    let deep = "(".repeat(depth::DEEPEST) + "1" + &")".repeat(depth::DEEPEST);
    assert!(parse(&deep).is_ok());
    let deep = "if(a,b,-".repeat(depth::DEEPEST / 2) + "1" + &")".repeat(depth::DEEPEST / 2);
    assert!(parse(&deep).is_ok());
}

fn tree() -> impl Strategy<Value = Expr> {
    fn expr(kind: ExprKind) -> Expr {
        Expr { kind, span: 0..0 }
    }
    fn word(text: &str) -> Word {
        Word {
            text: text.into(),
            span: 0..0,
        }
    }
    let leaf = prop_oneof![
        (0.0..1e12f64, proptest::option::of("(mg|L/h|1e9/L|%)")).prop_map(|(value, unit)| {
            expr(ExprKind::Number {
                value,
                unit: unit.map(|u| word(&u)),
            })
        }),
        (
            "[a-c_][a-z0-9_]{0,4}",
            proptest::collection::vec("[a-c][a-z]?", 0..3)
        )
            .prop_map(|(name, index)| {
                let index = index.iter().map(|i| word(i)).collect();
                expr(ExprKind::Name { name, index })
            }),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        let class = prop_oneof![
            Just(vec![Binary::Add, Binary::Sub]),
            Just(vec![Binary::Mul, Binary::Div]),
            Just(vec![Binary::And]),
            Just(vec![Binary::Or]),
            Just(vec![Binary::Le, Binary::Ne]),
        ];
        prop_oneof![
            (any::<bool>(), boxed.clone()).prop_map(|(not, x)| {
                expr(ExprKind::Unary(
                    if not { Unary::Not } else { Unary::Neg },
                    x,
                ))
            }),
            (
                boxed.clone(),
                class,
                proptest::collection::vec((any::<bool>(), inner.clone()), 1..4)
            )
                .prop_map(|(first, class, rest)| {
                    // the parser joins chains of one precedence on the left
                    let rest: Vec<_> = rest
                        .into_iter()
                        .map(|(last, x)| (class[usize::from(last) % class.len()], x))
                        .collect();
                    let same = matches!(&first.kind, ExprKind::Chain { rest: inner, .. }
                        if precedence(inner[0].0) == precedence(rest[0].0));
                    if same {
                        *first
                    } else {
                        expr(ExprKind::Chain { first, rest })
                    }
                }),
            (boxed.clone(), boxed.clone()).prop_map(|(a, b)| expr(ExprKind::Power(a, b))),
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|arguments| {
                expr(ExprKind::Call {
                    name: word("f"),
                    arguments,
                })
            }),
            boxed.prop_map(|body| expr(ExprKind::Sum {
                indices: vec![word("i")],
                body
            })),
        ]
    })
}

proptest! {
    #[test]
    fn printing_and_parsing_are_inverse(tree in tree()) {
        let text = tree.to_string();
        prop_assert_eq!(&parse(&text).map_err(|e| TestCaseError::fail(format!("{e} in {text}")))?, &tree);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_sequence_of_tokens_makes_the_parser_panic(
        tokens in proptest::collection::vec(
            prop_oneof![Just("("), Just(")"), Just("["), Just("]"), Just("-"), Just("^"), Just("not "),
                Just("and "), Just("x"), Just("2"), Just(","), Just("sum"), Just("if"), Just("<"), Just("µ")],
            0..200)
    ) {
        let _ = parse(&tokens.concat());
    }
}
