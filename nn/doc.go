// Package nn learns and runs neural networks on a kernels.Set: tensors, a tape that records a forward pass and replays it
// backwards, the U-Net of diffusers' UNet2DModel, AdamW with a moving average of the weights, and safetensors files.
//
//	u, _ := nn.NewUNet(set, nn.DDPMCIFAR10())
//	u.Init(seed)
//	tape := nn.NewTape(set, nn.Training)
//	y := u.Forward(tape, x, t)            // record
//	tape.Backward(y, dy)                  // parameter gradients, in u.Params
//	nn.DefaultAdamW().Step(u.Params, step, decay)
//	tape.Reset()                          // all memory of the step is free again
//
// The package sees devices only through kernels: it imports kernels and nothing else of the module.
package nn
