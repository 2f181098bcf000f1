"""What the looks of the full run of the CIFAR-10 study say: 10 epochs, seeds 0 to 2."""

READING = (
    (
        "The first steps saturate the dense hidden layer.",
        "Before the first step no slope is flat. All 7,200 inputs of the layer are positive, "
        "0.52 in the mean after sigmoid and pooling, so the gradients of all weights of a unit "
        "have one sign, and Adam's first step moves every weight by the learning rate in the "
        "same direction: z moves by up to 0.001 · 7,200 · 0.52 ≈ 3.7. Mean |z| does go from 0.6 "
        "to 3.6 in that one step. After 32 steps, 2,048 images, nearly all slopes are flat.",
    ),
    (
        "A flat layer gives the same for every image.",
        "Most of the time its outputs differ by 1e-5 or less between images, the convolution's "
        "gradient is three to five orders of magnitude smaller, and only the output layer's "
        "keeps its own. That layer can learn how frequent the classes are, and they are equally "
        "frequent: 10%.",
    ),
    (
        "How long it lasts is chance.",
        "The convolution has no flat slopes on the plateau, and what is left of its gradient "
        "goes on moving it, since Adam divides by the gradient's size: with seeds 1 and 2 its "
        "mean |z| grows from 0.2 to 1. Now and then a single unit of 128 comes back to where "
        "its slope is steep, and goes again. Where the plateau ends, several are back at once: "
        "2 to 10% of the slopes. Sigmoid then learns with most of the slopes still flat.",
    ),
    (
        "It is not the function alone.",
        "With the same weights and batches and a tenth of the learning rate there is no "
        "plateau, and the layer does not saturate.",
    ),
)
